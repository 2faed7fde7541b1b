import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import { DEFAULT_PORT, startGateway } from '../gateway.js';
import { readArgs, usage } from './args.js';
import { asUsage } from './compute.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { writeJson } from './output.js';

export const serveCommand: Command = {
  help: `Usage: orbweaver serve --data DIR [OPTIONS]

Serves the content-addressed store protocol over a folder. Prints the URL and a token of each
scope, then serves until SIGINT or SIGTERM, which let requests in flight finish.

Options:
  --data DIR            where xorbs, shards and files are kept; made if missing
  --host H              address to listen on                 [127.0.0.1]
  --port N              port to listen on, 0 for a free one  [${DEFAULT_PORT}]
  --token T             one token for both scopes            [two random ones]
  --workers N           threads that verify uploads          [one per core]
  --max-memory BYTES    for bodies, responses, caches and
                        verifying together, at least 32MiB   [256MiB, and the threads' own]
  --prefix PATH         path below which it is served        [none]
  --public-url URL      base of the fetch URLs it signs      [the Host of the request]
  --cors ORIGIN         let web pages of this origin in,     [none]
                        such as https://app.example, or *
${COMMON_HELP}

With --json the first line on standard output is {"url","readToken","writeToken"}.

${EXIT_CODES_HELP}
`,
  run: serve,
};

async function serve(argv: readonly string[], context: CliContext): Promise<number> {
  const args = readArgs(argv, {
    data: { type: 'string' },
    host: { type: 'string' },
    port: { type: 'string' },
    token: { type: 'string' },
    workers: { type: 'string' },
    'public-url': { type: 'string' },
    'max-memory': { type: 'string' },
    prefix: { type: 'string' },
    cors: { type: 'string' },
  });
  const data = args.text('data');
  if (data === undefined) throw usage('serve expected --data DIR');
  if (args.positionals.length > 0) throw usage(`serve takes no "${args.positionals[0]}"`);
  const port = args.count('port') ?? DEFAULT_PORT;
  if (port > 65_535) throw usage(`--port expected 0 to 65535, got ${port}`);
  const token = args.text('token');
  if (token !== undefined && !/^[\x21-\x7e]{1,4096}$/.test(token)) {
    throw usage('--token expected visible ASCII characters');
  }
  const cors = args.text('cors');
  const gateway = await asUsage(
    startGateway({
      data: resolve(context.cwd, data),
      host: args.text('host'),
      port,
      token,
      workers: args.count('workers'),
      maxMemory: args.bytes('max-memory'),
      prefix: args.text('prefix'),
      publicUrl: args.text('public-url'),
      cors: cors === undefined ? undefined : { origins: cors === '*' ? '*' : [cors] },
      onWarning: (message) => context.stderr.write(`warning: ${message}\n`),
    }),
  );
  const { url, readToken, writeToken } = gateway;
  if (args.flag('json')) writeJson(context.stdout, { url, readToken, writeToken });
  else {
    context.stdout.write(
      `url         ${url}\nread token  ${readToken}\nwrite token ${writeToken}\n`,
    );
    if (!args.flag('quiet')) context.stderr.write('serving until interrupted\n');
  }
  await aborted(context.signal);
  await gateway.close();
  return EXIT.ok;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  );
}
