import { resolve } from 'node:path';
import { isUtf8Path } from '../folder/index.js';
import { createSpool, pathFilter, rawPathSource, walkFolder } from '../io/index.js';
import type { PlacementName } from './client-types.js';
import { walkTreeOf } from './folder-inputs.js';
import { SEGMENT_ENTRIES, uploadWalk } from './folder-run.js';
import type { FolderUploadOptions, FolderUploadResult } from './folder-types.js';
import type { UploadInput } from './input.js';
import { type PathList, pathList, type TransferCommand } from './transfer-command.js';
import { runUpload, type UploadParts } from './upload.js';

/**
 * Uploads what folders hold, and then the manifest that says what that was:
 *
 *     walk ─► a segment of entries ─► upload ─► their lines ─► spool ─► … ─► upload of the spool
 *
 * The manifest comes last: it names only what is registered. A file that fails is not in it.
 *
 * @throws what `OrbweaverClient.uploadFolder` does
 */
export async function runFolderUpload(
  parts: UploadParts,
  inputs: readonly string[],
  options: FolderUploadOptions,
  segmentEntries: number = SEGMENT_ENTRIES,
): Promise<FolderUploadResult> {
  const { names = 'portable', hidden = true, symlinks = 'keep', signal } = options;
  const { sha256, rehash, maxXorbBytes, base, dryRun } = options;
  const startedAt = performance.now();
  const top = await walkTreeOf(inputs, { files: options.files, hidden });
  const isExcluded = pathFilter(options.exclude ?? []);
  // What `files` says, as a later run finds it.
  const list = options.files === undefined ? null : pathList(options.files);
  const command = commandOf(inputs, options, { placement: parts.placement, list });
  const spool = await createSpool();
  try {
    const result = await uploadWalk(
      () => walkFolder(top, { names, symlinks, hidden, isExcluded, signal }),
      {
        spool,
        sendFiles(files, part, watching) {
          const { state } = parts;
          const remembered = state === null ? null : { ...state, command: { ...command, part } };
          const sources = files.map(
            ({ source, sizeBytes }): UploadInput =>
              isUtf8Path(source) ? source : rawPathSource(source, sizeBytes),
          );
          const given = { sha256, rehash, maxXorbBytes, base, dryRun, signal };
          return runUpload({ ...parts, state: remembered }, sources, { ...given, ...watching });
        },
        sendManifest(watching) {
          const manifest = { name: 'the manifest', data: spool.path };
          const given = { maxXorbBytes, dryRun, signal };
          // It lies under a name that does not come again: nothing to remember.
          return runUpload({ ...parts, state: null }, [manifest], { ...given, ...watching });
        },
      },
      options,
      segmentEntries,
    );
    return { ...result, wallMs: performance.now() - startedAt };
  } finally {
    await spool.remove();
  }
}

/** The command line that uploads these folders again. */
function commandOf(
  inputs: readonly string[],
  { exclude = [], hidden, symlinks, names, sha256 }: FolderUploadOptions,
  { placement, list }: { readonly placement: PlacementName; readonly list: PathList | null },
): Omit<TransferCommand, 'part'> {
  const paths = inputs.map((input) => resolve(input));
  const options = [
    ...exclude.map((pattern) => `--exclude=${pattern}`),
    ...(hidden === false ? ['--no-hidden'] : []),
    ...(symlinks === undefined ? [] : [`--symlinks=${symlinks}`]),
    ...(names === undefined ? [] : [`--names=${names}`]),
    ...(sha256 === true ? ['--sha256'] : []),
    ...(placement === 'balanced' ? [] : [`--placement=${placement}`]),
  ];
  return { paths, list, options };
}
