import { EXIT } from '../errors.js';
import { startTargetServer, TARGET_SERVER_KINDS } from '../targets.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';

export const targetServerCommand: Command = defineCommand({
  usage: ['target-server KIND [OPTIONS]'],
  about: `Runs a test server of another upload system (${TARGET_SERVER_KINDS.join(', ')}), weaknesses included, until
it is interrupted. For people who integrate; what it takes is gone when it ends. It prints what
"upload" needs: --to, --token and --set. The one of kind metadata is what --to startrail: speaks to.`,
  options: [
    { name: 'port', value: 'N', help: 'port to listen on, 0 for a free one', fallback: '0' },
    { name: 'host', value: 'H', help: 'address to listen on', fallback: '127.0.0.1' },
    { name: 'token', value: 'T', help: 'the token that it takes', fallback: 'test-token' },
    {
      name: 'generation',
      value: 'G',
      help: 'which server it behaves like; multipart: g0, g1, g1a, g2',
    },
    {
      name: 'fault',
      value: 'JSON',
      help: 'a fault to plan, see below; may be given several times',
      isRepeatable: true,
    },
  ],
  notes: `Faults are JSON, such as '{"on":"chunk","nth":3,"do":{"kind":"cut"}}' (multipart) or
'{"loseStartResponse":true}' (cascade, metadata); docs/targets.md lists them.

With --json the first line on standard output is {"url","to","token","settings"}.`,
  words: TARGET_SERVER_KINDS,
  run: targetServer,
});

async function targetServer(args: ParsedArgs, context: CliContext): Promise<number> {
  const [kind, ...others] = args.positionals;
  if (kind === undefined || others.length > 0) {
    const got = kind === undefined ? 'none' : `"${args.positionals.join(' ')}"`;
    throw usage(`target-server expected one of ${TARGET_SERVER_KINDS.join(', ')}, got ${got}`);
  }
  const port = args.count('port') ?? 0;
  if (port > 65_535) throw usage(`--port expected 0 to 65535, got ${port}`);
  const server = await startTargetServer(kind, {
    port,
    host: args.text('host'),
    token: args.text('token'),
    generation: args.text('generation'),
    faults: args.texts('fault').map(parseFault),
  });
  try {
    const { url, to, token, settings = {} } = server;
    if (args.flag('json')) writeJson(context.stdout, { url, to, token, settings });
    else {
      const set = Object.entries(settings).map(([name, value]) => `set    ${name}=${value}\n`);
      context.stdout.write(`url    ${url}\nto     ${to}\ntoken  ${token}\n${set.join('')}`);
    }
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve();
      context.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    await server.close();
  }
  return EXIT.ok;
}

function parseFault(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw usage(`--fault expected JSON, got "${text}"`);
  }
}
