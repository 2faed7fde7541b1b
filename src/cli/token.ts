import { EXIT, OrbweaverError } from '../errors.js';
import {
  addTokenKey,
  createTokenSigner,
  isS3Place,
  keptTokenKeys,
  openStore,
  placeTokenKeys,
  TOKEN_SCOPES,
  type TokenKeys,
  type TokenScope,
} from '../gateway.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import { asUsage } from './compute.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { placeOf, S3_OPTIONS, s3Of } from './place.js';

const DEFAULT_EXPIRES_SECONDS = 3600;

export const tokenCommand: Command = defineCommand({
  usage: [
    'token --data PLACE --scope SCOPE [OPTIONS]',
    'token keys --data PLACE',
    'token rotate --data PLACE',
    'token revoke KEY --data PLACE',
  ],
  about: `Makes a short-lived token for the store in PLACE and prints it, and nothing else. Every gateway over
that store accepts it at once, also one that runs already, until it expires.`,
  options: [
    { name: 'data', value: 'PLACE', help: 'the store, as serve --data names it' },
    ...S3_OPTIONS,
    {
      name: 'scope',
      value: 'SCOPE',
      help: 'what it allows: read, append (uploads, reads nothing back), write, admin',
      choices: TOKEN_SCOPES,
    },
    { name: 'tenant', value: 'T', help: 'whose data it is for', fallback: 'the root of the store' },
    { name: 'repository', value: 'R', help: 'what it is made for', fallback: 'none' },
    {
      name: 'id',
      value: 'NAME',
      help: 'who it stands for, as logs name them',
      fallback: "the token's own random name",
    },
    {
      name: 'expires',
      value: 'SECONDS',
      help: 'how long it is good',
      fallback: String(DEFAULT_EXPIRES_SECONDS),
    },
  ],
  notes: `Tokens are signed with a key that is kept in PLACE and made with the first token. "token rotate"
makes another one, which signs from then on; tokens of the older ones stay good until they expire, or
until "token revoke KEY" takes a key away (within ten seconds). "token keys" lists them, the newest first.

With --json: {"token","id","tokenId","keyId","scope","tenant","repository","expiresAt"}; keys:
{"keys":[{"id","createdAt"}]}; rotate and revoke: {"key"}.`,
  words: ['keys', 'rotate', 'revoke'],
  run: token,
});

async function token(args: ParsedArgs, context: CliContext): Promise<number> {
  const place = args.text('data');
  if (place === undefined) throw usage('token expected --data PLACE');
  // Those of a folder are files, and need no store.
  const store = isS3Place(place) ? await openStore(place, { s3: s3Of(args) }) : null;
  try {
    const keys =
      store === null ? keptTokenKeys(placeOf(place, context)) : placeTokenKeys(place, store);
    return await run(keys, args, context);
  } finally {
    await store?.close?.();
  }
}

async function run(keys: TokenKeys, args: ParsedArgs, context: CliContext): Promise<number> {
  const [action, ...others] = args.positionals;
  const scope = args.text('scope');
  if (action === undefined) return make(keys, args, context);
  if (scope !== undefined) throw usage(`token ${action} takes no --scope`);
  if (action === 'keys' && others.length === 0) return list(keys, args, context);
  if (action === 'rotate' && others.length === 0) return rotate(keys, args, context);
  if (action === 'revoke' && others.length === 1) {
    return revoke(keys, others[0] as string, { args, context });
  }
  throw usage('token expected keys, rotate, revoke KEY, or nothing but options');
}

async function make(keys: TokenKeys, args: ParsedArgs, { stdout }: CliContext): Promise<number> {
  const scope = args.text('scope');
  if (scope === undefined) throw usage(`token expected --scope ${TOKEN_SCOPES.join('|')}`);
  const expires = args.count('expires') ?? DEFAULT_EXPIRES_SECONDS;
  if (expires < 1) throw usage('--expires expected at least 1 second');
  const claims = {
    scope: scope as TokenScope,
    tenant: args.text('tenant'),
    repository: args.text('repository'),
    id: args.text('id'),
  };
  const signer = createTokenSigner({ keys });
  const issued = await asUsage(signer.issue(claims, expires * 1000));
  if (!args.flag('json')) {
    stdout.write(`${issued.token}\n`);
    return EXIT.ok;
  }
  const { principal, tokenId, keyId, expiresMs } = issued;
  const { id, tenant = null, repository = null } = principal;
  const expiresAt = new Date(expiresMs).toISOString();
  writeJson(stdout, {
    token: issued.token,
    id,
    tokenId,
    keyId,
    scope,
    tenant,
    repository,
    expiresAt,
  });
  return EXIT.ok;
}

async function list(keys: TokenKeys, args: ParsedArgs, { stdout }: CliContext): Promise<number> {
  const known = (await keys.list())
    .toSorted((a, b) => b.createdMs - a.createdMs)
    .map(({ id, createdMs }) => ({ id, createdAt: new Date(createdMs).toISOString() }));
  if (args.flag('json')) writeJson(stdout, { keys: known });
  else for (const { id, createdAt } of known) stdout.write(`${id}  ${createdAt}\n`);
  return EXIT.ok;
}

async function rotate(keys: TokenKeys, args: ParsedArgs, { stdout }: CliContext): Promise<number> {
  const { id } = await addTokenKey(keys);
  if (args.flag('json')) writeJson(stdout, { key: id });
  else stdout.write(`${id}\n`);
  return EXIT.ok;
}

async function revoke(
  keys: TokenKeys,
  key: string,
  { args, context }: { readonly args: ParsedArgs; readonly context: CliContext },
): Promise<number> {
  if (!(await keys.remove(key))) {
    throw new OrbweaverError('NOT_FOUND', `there is no key "${key}": token keys lists them`);
  }
  if (args.flag('json')) writeJson(context.stdout, { key });
  return EXIT.ok;
}
