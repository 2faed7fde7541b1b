import { MerkleHash } from '../../hash/index.js';
import { gitBlobId } from '../../io/index.js';
import type { FileEntry } from './formats.js';
import type { Hub } from './hub.js';
import type { RepoType } from './names.js';

/**
 * The `.gitattributes` that a new repository begins with: file names that are large files by rule, the
 * same as on the Hub (documentation of the Hub, "Getting started with repositories").
 */
const MODEL =
  '*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model *.msgpack *.npy *.npz ' +
  '*.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar *.safetensors saved_model/**/* *.tar.* *.tar ' +
  '*.tflite *.tgz *.wasm *.xz *.zip *.zst *tfevents*';
const DATASET =
  `${MODEL} *.lz4 *.mds *.pcm *.sam *.raw *.aac *.flac *.mp3 *.ogg *.wav *.bmp *.gif *.png *.tiff *.jpg *.jpeg ` +
  '*.webp *.mp4 *.webm';

export const ATTRIBUTES_NAME = '.gitattributes';

function textFor(type: RepoType): string {
  const patterns = (type === 'dataset' ? DATASET : MODEL).split(' ');
  return patterns.map((pattern) => `${pattern} filter=lfs diff=lfs merge=lfs -text\n`).join('');
}

/** Stores the file of a type when it is first needed, or needed again. */
export function createDefaultAttributes(
  hub: Pick<Hub, 'store' | 'services'>,
): (type: RepoType, signal: AbortSignal) => Promise<FileEntry> {
  const known = new Map<RepoType, FileEntry>();
  return async (type, signal) => {
    const found = known.get(type);
    if (found !== undefined && (await hub.services.index.find(found.file)) !== null) return found;
    const bytes = new TextEncoder().encode(textFor(type));
    const [stored] = await hub.store([bytes], signal);
    const { fileHash, sha256 } = stored as { fileHash: string; sha256: string };
    const entry: FileEntry = {
      ...{ kind: 'file', sizeBytes: bytes.length, sha256, lfs: false },
      file: MerkleHash.parse(fileHash),
      blobId: gitBlobId(bytes),
    };
    known.set(type, entry);
    return entry;
  };
}
