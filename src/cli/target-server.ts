import { EXIT } from '../errors.js';
import { startTargetServer, TARGET_SERVER_KINDS } from '../targets.js';
import { readArgs, usage } from './args.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { writeJson } from './output.js';

export const targetServerCommand: Command = {
  help: `Usage: orbweaver target-server KIND [OPTIONS]

Runs a test server of another upload system (${TARGET_SERVER_KINDS.join(', ')}), weaknesses included, until
it is interrupted. For people who integrate; what it takes is gone when it ends. It prints what
"upload" needs: --to, --token and --set. The one of kind metadata is what --to startrail: speaks to.

Options:
  --port N              port to listen on, 0 for a free one  [0]
  --host H              address to listen on                 [127.0.0.1]
  --token T             the token that it takes              [test-token]
  --generation G        which server it behaves like; multipart: g0, g1, g1a, g2
  --fault JSON          a fault to plan, such as '{"on":"chunk","nth":3,"do":{"kind":"cut"}}'
                        (multipart) or '{"loseStartResponse":true}' (cascade, metadata);
                        may be given several times
${COMMON_HELP}

With --json the first line on standard output is {"url","to","token","settings"}.

${EXIT_CODES_HELP}
`,
  run: targetServer,
};

async function targetServer(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, {
    port: { type: 'string' },
    host: { type: 'string' },
    token: { type: 'string' },
    generation: { type: 'string' },
    fault: { type: 'string', multiple: true },
  });
  const [kind, ...others] = args.positionals;
  if (kind === undefined || others.length > 0) {
    throw usage(`target-server expected one of ${TARGET_SERVER_KINDS.join(', ')}`);
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
