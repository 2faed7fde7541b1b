import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the Python client keeps what is its own: `$HF_HOME`, else below the user's cache folder. */
export function hubHome(env: Environment): string {
  const cache = env['XDG_CACHE_HOME'] || join(env['HOME'] ?? '.', '.cache');
  return env['HF_HOME'] || join(cache, 'huggingface');
}

/** The cache folder that the Python client uses. */
export function defaultHubCache(env: Environment): string {
  return env['HF_HUB_CACHE'] || join(hubHome(env), 'hub');
}
