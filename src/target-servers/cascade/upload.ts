import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { sevenZipFrame } from '../../archive/index.js';
import { type HttpRequest, piecesOf } from '../../http/index.js';
import { textId } from '../ids.js';
import { ConnectionCut } from '../messages.js';
import { boundaryOf, readMultipart } from '../multipart-reader.js';
import { GoaError } from './goa-error.js';
import type { CascadeFile, CascadeState, CascadeVolume } from './model.js';

/** Fee of a unit, and the part that every registration costs, in coins. */
const FEE_PER_UNIT = 50;
const FEE_BASE = 10;
/** Part of the fee that is burned in advance. */
const PREBURN = 0.2;

interface Stored {
  readonly path: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly sha3: string;
  readonly crc: number;
}

/**
 * Takes a file and, when it is larger than a volume, turns it into volumes.
 * @throws GoaError 400 `decode_payload` for everything that goes wrong on the way, 500 for the fee
 */
export async function takeUpload(
  state: CascadeState,
  request: HttpRequest,
  version: 1 | 2,
): Promise<CascadeFile> {
  const { faults } = state;
  const fileId = textId(8);
  const folder = join(state.dataDir, fileId);
  try {
    const stored = await store(state, request, folder);
    if (faults.decodePayload !== undefined) {
      const message = faults.decodePayload;
      delete faults.decodePayload;
      throw new Error(message);
    }
    const split = stored.sizeBytes > state.volumeBytes;
    if (split && version === 1) {
      throw new Error(
        'file size exceeds the maximum allowed size - Please use API V2 to upload large files',
      );
    }
    if (split) await writeVolumes(state, folder, stored);
    if (faults.failFeeLookup === true) {
      delete faults.failFeeLookup;
      throw new GoaError(500, 'InternalServerError', 'unable to get storage fee');
    }
    return await register(state, { fileId, folder, stored, split });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if (error instanceof BrokenBody) throw error.cause;
    if (error instanceof GoaError || error instanceof ConnectionCut) throw error;
    throw new GoaError(400, 'decode_payload', (error as Error).message);
  }
}

async function store(state: CascadeState, request: HttpRequest, folder: string): Promise<Stored> {
  const boundary = boundaryOf(request.headers['content-type']);
  if (boundary === null) throw new Error('request Content-Type is not multipart/form-data');
  let stored: Stored | null = null;
  for await (const part of readMultipart(cutting(state, request), boundary)) {
    // Only the first part of that name counts; what follows is read and forgotten.
    if (part.name !== 'file' || stored !== null) continue;
    if (part.fileName === null || part.fileName === '') throw new Error('missing file name');
    const name = part.fileName.split(/[\\/]/).at(-1) ?? '';
    await mkdir(folder, { recursive: true });
    stored = await writeFile(join(folder, name), name, part.body);
  }
  if (stored === null) throw new Error('could not find a part called "file"');
  return stored;
}

/** The body ended with an error of its sender, who gets no response. */
class BrokenBody extends Error {}

async function* cutting(
  state: CascadeState,
  request: HttpRequest,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  const pieces = piecesOf(request.body);
  for (;;) {
    const next = await pieces.next().catch((cause: unknown) => {
      throw new BrokenBody('the sender broke off', { cause });
    });
    if (next.done === true) return;
    bytes += next.value.length;
    const { cutUploadAfterBytes: limit } = state.faults;
    if (limit !== undefined && bytes > limit) {
      delete state.faults.cutUploadAfterBytes;
      throw new ConnectionCut();
    }
    yield next.value;
  }
}

async function writeFile(
  path: string,
  name: string,
  body: AsyncIterable<Uint8Array>,
): Promise<Stored> {
  const sha256 = createHash('sha256');
  const sha3 = createHash('sha3-256');
  let crc = 0;
  let sizeBytes = 0;
  const file = await open(path, 'w');
  try {
    for await (const piece of body) {
      sha256.update(piece);
      sha3.update(piece);
      crc = crc32(piece, crc);
      sizeBytes += piece.length;
      await file.write(piece);
    }
  } finally {
    await file.close();
  }
  return { path, name, sizeBytes, sha256: sha256.digest('hex'), sha3: sha3.digest('hex'), crc };
}

/** A store-mode archive cut into `<name>.7z.001`, `.002`, …; the file itself is deleted. */
async function writeVolumes(state: CascadeState, folder: string, stored: Stored): Promise<void> {
  const { head, tail } = sevenZipFrame(stored);
  async function* archive(): AsyncGenerator<Uint8Array, void, undefined> {
    yield head;
    yield* createReadStream(stored.path) as AsyncIterable<Buffer>;
    yield tail;
  }
  let volume = 0;
  let left = 0;
  let file = null;
  try {
    for await (const bytes of archive()) {
      for (let at = 0; at < bytes.length; ) {
        if (left === 0) {
          await file?.close();
          volume++;
          const number = String(volume).padStart(3, '0');
          file = await open(join(folder, `${stored.name}.7z.${number}`), 'w');
          left = state.volumeBytes;
        }
        const piece = bytes.subarray(at, at + left);
        await file?.write(piece);
        at += piece.length;
        left -= piece.length;
      }
    }
  } finally {
    await file?.close();
  }
  await rm(stored.path);
}

async function register(
  state: CascadeState,
  upload: { fileId: string; folder: string; stored: Stored; split: boolean },
): Promise<CascadeFile> {
  const { fileId, folder, stored, split } = upload;
  const volumes: CascadeVolume[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const file = await open(join(folder, name));
    const { size: sizeBytes } = await file.stat().finally(() => file.close());
    const fee = FEE_PER_UNIT * Math.ceil(sizeBytes / state.feeUnitBytes) + FEE_BASE;
    volumes.push({
      name,
      index: volumes.length,
      sizeBytes,
      fee,
      burnAmount: Math.round(fee * PREBURN * 1e5) / 1e5,
      uuid: randomUUID(),
      registrations: [],
      activations: [],
      taskId: '',
      burnTxid: '',
      regTxid: '',
      activationTxid: '',
      concluded: false,
      ticketId: '',
      startBlock: 0,
      doneBlock: 0,
    });
  }
  const file: CascadeFile = {
    fileId,
    folder,
    name: stored.name,
    recordedName: split ? (`${stored.name}.7z`.split('.7z')[0] as string) : stored.name,
    sha256: stored.sha256,
    sha3: stored.sha3,
    sizeBytes: stored.sizeBytes,
    uploadedAtMs: state.clock.unixMs(),
    volumes,
    public: false,
    startRequests: 0,
    startCount: 0,
  };
  state.files.set(fileId, file);
  return file;
}

/** The response of either version. */
export function uploadJson(state: CascadeState, file: CascadeFile, version: 1 | 2): object {
  const amounts = file.volumes.map((volume) => volume.burnAmount);
  const total = file.volumes.reduce((sum, volume) => sum + volume.fee, 0);
  if (version === 1) {
    return {
      file_id: file.fileId,
      expires_in: '',
      total_estimated_fee: total,
      required_preburn_amount: amounts[0],
    };
  }
  const shown = state.faults.inconsistentAmounts === true ? amounts.slice(0, -1) : amounts;
  return {
    file_id: file.fileId,
    total_estimated_fee: total,
    ...(shown.length === 0 ? {} : { required_preburn_transaction_amounts: shown }),
  };
}
