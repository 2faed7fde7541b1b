import { createUploadSession } from '../client/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { createCasClient, type TokenSource } from '../transport/index.js';
import { createXetTarget, type UploadTarget } from '../transport/targets.js';
import { COMPUTE_RULES, type ComputeOptions, poolOf } from './options.js';

/** What {@link openXetTarget} is made with. */
export interface OpenXetTargetOptions extends ComputeOptions {
  /** Base URL of the store. */
  readonly endpoint: string;
  readonly token?: string | TokenSource | undefined;
}

const RULES: OptionRules<OpenXetTargetOptions> = {
  ...COMPUTE_RULES,
  endpoint: is.required(is.text),
  token: is.either(is.text, is.object, is.callback),
};

/**
 * The content-addressed store as an upload target like the others. `close` it: it holds a pool of
 * threads and connections.
 *
 * @throws RangeError, TypeError for wrong options
 * @example
 * const target = await openXetTarget({ endpoint: 'http://127.0.0.1:8080', token });
 * const { ids } = await runTarget(source, target, { clock, random, digests });
 * await target.close?.();
 */
export async function openXetTarget(options: OpenXetTargetOptions): Promise<UploadTarget> {
  checkOptions('openXetTarget', options, RULES);
  const { endpoint, token = '' } = options;
  const cas = await createCasClient({ endpoint, token });
  const pool = await poolOf(options).catch(async (error: unknown) => {
    await cas.close();
    throw error;
  });
  const target = createXetTarget({
    openSession: (signal) =>
      createUploadSession({
        cas,
        pool,
        hasher: pool.kernels.hasher,
        clock: SYSTEM_CLOCK,
        options: { signal },
      }),
  });
  return {
    ...target,
    async close() {
      await cas.close();
      await pool.close();
    },
  };
}
