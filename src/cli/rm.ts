import { COMPUTE, defineCommand, NETWORK, SERVER, TOKEN_FILE } from './command.js';
import type { Command } from './context.js';

export const rmCommand: Command = defineCommand({
  usage: ['rm hf://NAMESPACE/NAME[@REVISION]/PATH... [--token T] [OPTIONS]'],
  about: `Deletes files of a repository of a Hub, in one commit. A path that ends in a slash is a folder.
Files of a store without names are removed where the store is: orbweaver store rm.`,
  options: [
    { name: 'message', short: 'm', value: 'TEXT', help: 'title of the commit' },
    { name: 'pr', help: 'propose the change instead of making it' },
    ...SERVER,
    TOKEN_FILE,
    ...NETWORK,
    ...COMPUTE,
  ],
  run: async (args, context) => (await import('./hub.js')).removeFromHub(args, context),
});
