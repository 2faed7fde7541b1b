import { open } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { EXIT, isOrbweaverError, OrbweaverError } from '../errors.js';
import {
  decodeFooter,
  decodeShard,
  hexEncode,
  isZero,
  MerkleHash,
  readRecordHeader,
  SHARD_MAX_BYTES,
  type Shard,
  type VerifiedXorb,
  verifyShard,
  verifyXorb,
  XORB_ACCEPT_MAX_BYTES,
  type XorbFooter,
} from '../formats.js';
import { loadKernels } from '../index.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { bytesText, percentText, pluralText, tableText } from './text.js';

export const inspectCommand: Command = defineCommand({
  usage: ['inspect FILE [OPTIONS]'],
  about: `Reads a xorb (with or without footer) or a shard (any variant), checks it whole and lists what is
in it. Every chunk of a xorb is decoded and hashed, and held against the footer and against the hash
in the name of the file, as far as there are any. What is damaged ends with exit code 6.`,
  options: [],
  run: inspect,
});

/** First 14 bytes of a shard. */
const SHARD_TAG = 'HFRepoMetaData';
/** Neither kind of file is larger than the larger limit, footer included. */
const MAX_INPUT_BYTES = Math.max(SHARD_MAX_BYTES, XORB_ACCEPT_MAX_BYTES) + 1024 * 1024;
const SCHEMES = ['none', 'lz4', 'bg4-lz4'] as const;

async function inspect(args: ParsedArgs, context: CliContext): Promise<number> {
  const [path, ...others] = args.positionals;
  if (path === undefined || others.length > 0) throw usage('inspect expected one FILE');
  const bytes = await readInput(resolve(context.cwd, path));
  const isShard = new TextDecoder('latin1').decode(bytes.subarray(0, 14)) === SHARD_TAG;
  if (bytes.length === 0) {
    const text = `"${path}" is empty: neither a xorb nor a shard`;
    throw new OrbweaverError('FORMAT_INVALID', text, { hint: NAME_ONE });
  }
  if (!isShard) checkStart(bytes, path);
  const report = isShard ? describeShard(bytes) : await describeXorb(bytes, hashInName(path));
  if (args.flag('json')) writeJson(context.stdout, report);
  else
    context.stdout.write(
      isShard ? shardText(report as ShardReport) : xorbText(report as XorbReport),
    );
  return EXIT.ok;
}

const NAME_ONE =
  'Name a xorb or a shard, for example one of those below the folder of "serve --data".';

/** Something else altogether is told apart from a xorb that is damaged. @throws FORMAT_INVALID */
function checkStart(bytes: Uint8Array, path: string): void {
  try {
    readRecordHeader(bytes, 0);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const text = `"${path}" is neither a shard nor a xorb: at its start, ${reason}`;
    throw new OrbweaverError('FORMAT_INVALID', text, { hint: NAME_ONE }, error);
  }
}

async function readInput(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const info = await file.stat();
      if (info.isDirectory())
        throw new OrbweaverError(
          'INPUT_IS_DIRECTORY',
          `"${path}" expected a file, got a directory`,
        );
      if (info.size > MAX_INPUT_BYTES) {
        throw new OrbweaverError(
          'LIMIT_EXCEEDED',
          `${path} is ${info.size} bytes; xorbs and shards have at most ${MAX_INPUT_BYTES}`,
        );
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isOrbweaverError(error)) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new OrbweaverError(
        'INPUT_NOT_FOUND',
        `"${path}" expected a readable input, got no such file or folder (ENOENT)`,
        {},
        error,
      );
    }
    throw new OrbweaverError(
      'INPUT_UNREADABLE',
      `"${path}" expected a readable input, got ${code}`,
      {},
      error,
    );
  }
}

interface XorbReport {
  readonly type: 'xorb';
  readonly hash: string;
  /** What the hashes were held against: `footer`, `name`. Empty: they prove nothing. */
  readonly checkedAgainst: readonly string[];
  readonly chunkCount: number;
  readonly recordsBytes: number;
  readonly rawBytes: number;
  readonly footerBytes: number;
  readonly chunks: readonly {
    readonly hash: string;
    readonly offset: number;
    readonly recordBytes: number;
    readonly rawBytes: number;
    readonly scheme: string;
  }[];
}

async function describeXorb(bytes: Uint8Array, named: MerkleHash | null): Promise<XorbReport> {
  const { codec, hasher } = await loadKernels();
  const info = verifyXorb({ codec, hasher }, bytes);
  const hasFooter = info.recordsBytes < bytes.length;
  const checkedAgainst: string[] = [];
  if (hasFooter) {
    checkChunks(info, decodeFooter(bytes.subarray(info.recordsBytes)));
    // All of the footer, now that it is known that it is not the chunks.
    verifyXorb({ codec, hasher, footer: 'check' }, bytes);
    checkedAgainst.push('footer');
  }
  if (named !== null) {
    if (!named.equals(info.hash)) {
      const fields = { expected: named.toString(), found: info.hash.toString() };
      const text = `the xorb expected the hash in its name, ${named}, got ${info.hash}`;
      throw new OrbweaverError('INTEGRITY', text, fields);
    }
    checkedAgainst.push('name');
  }
  const chunks: XorbReport['chunks'][number][] = [];
  for (let i = 0, offset = 0; i < info.recordEnds.length; i++) {
    const header = readRecordHeader(bytes, offset);
    const end = info.recordEnds[i] as number;
    chunks.push({
      hash: MerkleHash.from(info.chunkHashes, 32 * i).toString(),
      offset,
      recordBytes: end - offset,
      rawBytes: header.uncompressedLength,
      scheme: SCHEMES[header.scheme] ?? String(header.scheme),
    });
    offset = end;
  }
  return {
    type: 'xorb',
    hash: info.hash.toString(),
    checkedAgainst,
    chunkCount: chunks.length,
    recordsBytes: info.recordsBytes,
    rawBytes: info.rawEnds[info.rawEnds.length - 1] ?? 0,
    footerBytes: bytes.length - info.recordsBytes,
    chunks,
  };
}

/** @throws OrbweaverError `INTEGRITY` for the first chunk that is not what the footer says */
function checkChunks(info: VerifiedXorb, footer: XorbFooter): void {
  const { recordEnds, chunkHashes } = info;
  const starts = (i: number): number => (i === 0 ? 0 : (recordEnds[i - 1] as number));
  for (let i = 0; i < recordEnds.length && 32 * i < footer.chunkHashes.length; i++) {
    const [expected, found] = [footer.chunkHashes, chunkHashes].map((hashes) =>
      MerkleHash.from(hashes, 32 * i),
    ) as [MerkleHash, MerkleHash];
    if (expected.equals(found)) continue;
    throw new OrbweaverError(
      'INTEGRITY',
      `chunk ${i} of ${recordEnds.length}, at offset ${starts(i)}, expected hash ${expected}, got ${found}`,
      { chunk: i, offset: starts(i), expected: expected.toString(), found: found.toString() },
    );
  }
}

/** Stores name xorbs by their hash, with or without something before or after it. */
function hashInName(path: string): MerkleHash | null {
  const digits = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/.exec(basename(path))?.[0];
  return digits === undefined ? null : MerkleHash.parse(digits);
}

function xorbText(report: XorbReport): string {
  const counts = new Map<string, number>();
  for (const chunk of report.chunks) counts.set(chunk.scheme, (counts.get(chunk.scheme) ?? 0) + 1);
  const schemes = [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
  return (
    `xorb ${report.hash}\n` +
    `  ${pluralText(report.chunkCount, 'chunk')} (${schemes}), ${bytesText(report.rawBytes)} raw, ` +
    `${bytesText(report.recordsBytes)} packed (${percentText(report.recordsBytes, report.rawBytes)})` +
    `${report.footerBytes > 0 ? `, footer of ${report.footerBytes} bytes` : ', no footer'}\n` +
    `  ${report.checkedAgainst.length > 0 ? `checked against its ${report.checkedAgainst.join(' and ')}` : 'decoded; there is no hash to check it against'}\n` +
    tableText([
      ['chunk', 'offset', 'record', 'raw', 'scheme'],
      ...report.chunks.map((chunk) => [
        chunk.hash,
        String(chunk.offset),
        String(chunk.recordBytes),
        String(chunk.rawBytes),
        chunk.scheme,
      ]),
    ])
  );
}

interface ShardReport {
  readonly type: 'shard';
  readonly sizeBytes: number;
  readonly files: readonly {
    readonly hash: string;
    readonly sizeBytes: number;
    readonly sha256: string | null;
    readonly verified: boolean;
    readonly terms: readonly {
      readonly xorb: string;
      readonly chunkStart: number;
      readonly chunkEnd: number;
      readonly unpackedBytes: number;
    }[];
  }[];
  readonly xorbs: readonly {
    readonly hash: string;
    readonly chunkCount: number;
    readonly rawBytes: number;
    readonly serializedBytes: number;
    readonly chunks: readonly { readonly hash: string; readonly rawBytes: number }[];
  }[];
  readonly footer: {
    readonly keyed: boolean;
    readonly createdAt: number;
    readonly expiresAt: number | null;
  } | null;
}

function describeShard(bytes: Uint8Array): ShardReport {
  const shard: Shard = decodeShard(bytes);
  verifyShard(shard);
  const { footer } = shard;
  return {
    type: 'shard',
    sizeBytes: bytes.length,
    files: shard.files.map((file) => ({
      hash: file.hash.toString(),
      sizeBytes: file.terms.reduce((sum, term) => sum + term.unpackedBytes, 0),
      sha256: file.sha256 === null ? null : hexEncode(file.sha256),
      verified: file.verification !== null,
      terms: file.terms.map((term) => ({
        xorb: term.xorb.toString(),
        chunkStart: term.chunkStart,
        chunkEnd: term.chunkEnd,
        unpackedBytes: term.unpackedBytes,
      })),
    })),
    xorbs: shard.xorbs.map((xorb) => ({
      hash: xorb.hash.toString(),
      chunkCount: xorb.chunkLengths.length,
      rawBytes: xorb.rawBytes,
      serializedBytes: xorb.serializedBytes,
      chunks: Array.from(xorb.chunkLengths, (rawBytes, i) => ({
        hash: MerkleHash.from(xorb.chunkHashes, 32 * i).toString(),
        rawBytes,
      })),
    })),
    footer:
      footer === null
        ? null
        : {
            keyed: !isZero(footer.hmacKey),
            createdAt: Number(footer.createdAt),
            expiresAt:
              footer.expiresAt > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(footer.expiresAt),
          },
  };
}

function shardText(report: ShardReport): string {
  const lines = [
    `shard of ${report.sizeBytes} bytes: ${pluralText(report.files.length, 'file')}, ${pluralText(report.xorbs.length, 'xorb')}`,
  ];
  if (report.footer === null) lines.push('  no footer (upload body)');
  else {
    const { keyed, createdAt, expiresAt } = report.footer;
    lines.push(
      `  footer: ${keyed ? 'keyed chunk hashes' : 'plain chunk hashes'}, created ${timeText(createdAt)}, ` +
        `expires ${expiresAt === null ? 'never' : timeText(expiresAt)}`,
    );
  }
  for (const file of report.files) {
    lines.push(
      `file ${file.hash}  ${bytesText(file.sizeBytes)}, ${pluralText(file.terms.length, 'term')}` +
        `${file.verified ? '' : ', no range hashes'}${file.sha256 === null ? '' : `, sha256 ${file.sha256}`}`,
    );
    for (const term of file.terms) {
      lines.push(
        `  ${term.xorb}  chunks ${term.chunkStart} to ${term.chunkEnd}  ${bytesText(term.unpackedBytes)}`,
      );
    }
  }
  for (const xorb of report.xorbs) {
    lines.push(
      `xorb ${xorb.hash}  ${pluralText(xorb.chunkCount, 'chunk')}, ${bytesText(xorb.rawBytes)} raw, ` +
        `${bytesText(xorb.serializedBytes)} packed`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function timeText(seconds: number): string {
  return seconds === 0 ? 'not recorded' : new Date(seconds * 1000).toISOString();
}
