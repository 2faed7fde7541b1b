import { describe, expect, it } from 'vitest';
import { createKernels, type KernelOptions } from '../../src/kernels/index.js';
import { createRecordDecoder, createRecordPacker } from '../../src/xorb/index.js';
import { twins } from './support.js';

describe('kernels that fall back', () => {
  it('say why the fastest tier does not run', async () => {
    // A module that is none: what an engine that refuses ours does.
    const module = {} as NonNullable<KernelOptions['module']>;
    const kernels = await createKernels({ twins, module });
    expect(kernels.tier).toBe('portable');
    expect(kernels.fallbackReason).toMatch(/instantiate|Module|object/i);
  });

  it('say nothing when they need not, or were asked for', async () => {
    expect((await createKernels({ twins })).fallbackReason).toBeNull();
    expect((await createKernels({ twins, tier: 'readable' })).fallbackReason).toBeNull();
  });
});

describe('lengths that are none', () => {
  it('never reach a kernel', () => {
    const fail = (): never => {
      throw new Error('it was asked');
    };
    const kernels = { pack: fail, decode: fail, hash: fail };
    const { codec, hasher } = twins;
    const decoder = createRecordDecoder({ codec, hasher, kernels });
    const packer = createRecordPacker({ codec, kernels });
    const bytes = new Uint8Array(100);
    for (const wrong of [-1, Number.NaN, 0.5, -(2 ** 31)]) {
      expect(() => decoder.decode(bytes, 0, 10, bytes, 0, wrong)).toThrow(RangeError);
      expect(() => decoder.decode(bytes, 0, 10, bytes, wrong, 1)).toThrow(RangeError);
      const one = Uint32Array.of(1);
      const pack = (): number => packer.pack(bytes, one, one, new Uint8Array(100), wrong, one);
      expect(pack).toThrow(RangeError);
    }
  });
});
