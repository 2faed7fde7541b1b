import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import {
  cancelStoredTransfer,
  defaultJournalFolder,
  findTransfer,
  forgetTransfer,
  listTransfers,
  type StoredTransfer,
} from '../targets.js';
import { type ParsedArgs, readArgs, usage } from './args.js';
import { tableOf } from './command.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { writeJson } from './output.js';
import { bytesText } from './text.js';
import { settingsOf, tokenOf, uploadTo } from './upload-to.js';
import { UPLOAD_TO_OPTIONS } from './upload-to-options.js';

export const transfersCommand: Command = {
  help: `Usage: orbweaver transfers [list]
       orbweaver transfers finish ID [OPTIONS]
       orbweaver transfers cancel ID [OPTIONS]
       orbweaver transfers forget ID

Uploads to other systems (upload --to) that are not finished: lists them, goes on with one, gives
one up at the target, or only forgets it here. Where the outcome of a step is unknown, finish looks
first.

Options:
  --token T             the token of the target              [$ORBWEAVER_<KIND>_TOKEN]
  --token-file FILE     the same, read from a file
  --set NAME=VALUE      a setting of the target; settings are not remembered
  --state-dir DIR       where transfers are remembered       [$XDG_STATE_HOME/orbweaver]
${COMMON_HELP}

With --json: {"transfers":[{"id","to","path","sizeBytes","changedMs","busy","stage","partCount","ids":{…}}]};
finish prints what upload prints, cancel {"id","outcome"}, forget {"id"}.

${EXIT_CODES_HELP}
`,
  run: transfers,
};

async function transfers(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, {
    ...tableOf(UPLOAD_TO_OPTIONS),
    token: { type: 'string' },
    'max-memory': { type: 'string' },
  });
  const [action = 'list', id, ...others] = args.positionals;
  if (others.length > 0) throw usage(`transfers takes no "${others[0]}"`);
  const stateDir = args.text('state-dir');
  const folder =
    stateDir === undefined ? defaultJournalFolder(context.env) : resolve(context.cwd, stateDir);
  if (action === 'list') return list(await listTransfers(folder), args, context);
  if (!['finish', 'cancel', 'forget'].includes(action)) {
    throw usage(`transfers expected list, finish, cancel or forget, got "${action}"`);
  }
  if (id === undefined) throw usage(`transfers ${action} expected an ID`);
  const { to, path } = await findTransfer(folder, id);
  if (action === 'finish') return uploadTo(args, context, { to, paths: [path] });
  const json = args.flag('json');
  if (action === 'forget') {
    await forgetTransfer(folder, id);
    if (json) writeJson(context.stdout, { id });
    return EXIT.ok;
  }
  const outcome = await cancelStoredTransfer({
    journalFolder: folder,
    id,
    token: await tokenOf(args, context, to.slice(0, to.indexOf(':'))),
    settings: settingsOf(args.texts('set')),
    signal: context.signal,
  });
  if (json) writeJson(context.stdout, { id, outcome });
  else context.stdout.write(`${outcome}\n`);
  return EXIT.ok;
}

function list(found: readonly StoredTransfer[], args: ParsedArgs, context: CliContext): number {
  if (args.flag('json')) {
    writeJson(context.stdout, { transfers: found });
    return EXIT.ok;
  }
  for (const { id, to, path, sizeBytes, stage, busy, changedMs, ids } of found) {
    const names = Object.entries(ids).map(([name, value]) => `${name}=${value}`);
    const when = new Date(changedMs).toISOString();
    context.stdout.write(
      `${id}  ${busy ? 'running' : stage}  ${bytesText(sizeBytes)}  ${path}\n` +
        `  ${[when, to, ...names].join('  ')}\n`,
    );
  }
  if (found.length === 0 && !args.flag('quiet')) context.stderr.write('nothing is unfinished\n');
  return EXIT.ok;
}
