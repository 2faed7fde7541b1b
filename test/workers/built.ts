import { compiled } from '../support/dist.js';

/**
 * The compiled modules. Worker threads load compiled modules, so whatever starts threads is tested on
 * the build; `npm test` builds first.
 */
const dist = compiled();

type Workers = typeof import('../../src/workers/index.js');
type Client = typeof import('../../src/client/index.js');

export async function builtWorkers(): Promise<Workers> {
  return (await import(new URL('workers/index.js', dist).href)) as Workers;
}

export async function builtClient(): Promise<Client> {
  return (await import(new URL('client/index.js', dist).href)) as Client;
}

/** URL of a compiled module, for programs run in a process of their own. */
export function builtUrl(path: string): string {
  return new URL(path, dist).href;
}
