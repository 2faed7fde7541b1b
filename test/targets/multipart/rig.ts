import type { Source } from '../../../src/client/ports.js';
import {
  createMultipartServer,
  type Generation,
  type MultipartServer,
  type MultipartServerOptions,
} from '../../../src/target-servers/index.js';
import {
  createMultipartTarget,
  type MultipartTargetOptions,
  type RunTargetOptions,
  runTarget,
  type TargetResult,
} from '../../../src/transport/targets.js';
import { digests, type ImpatientClock, impatientClock } from '../support.js';

/** A server and how to upload to it. */
export interface MultipartRig {
  readonly server: MultipartServer;
  readonly clock: ImpatientClock;
  run(
    source: Source,
    target?: Partial<MultipartTargetOptions>,
    options?: Partial<RunTargetOptions>,
  ): Promise<TargetResult>;
}

export function multipartRig(
  generation: Generation,
  options: Partial<MultipartServerOptions> = {},
): MultipartRig {
  const clock = impatientClock();
  const server = createMultipartServer({
    generation,
    clock,
    defaultChunkBytes: 100_000,
    ...options,
  });
  return {
    server,
    clock,
    run: (source, target = {}, runOptions = {}) =>
      runTarget(
        source,
        createMultipartTarget({
          exchange: server.exchange,
          url: 'http://files.test/drive',
          token: 'test-token',
          clock,
          random: () => 0.5,
          ...target,
        }),
        { clock, random: () => 0.5, digests, ...runOptions },
      ),
  };
}
