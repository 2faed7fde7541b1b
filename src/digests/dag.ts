import { createHash } from 'node:crypto';
import { createLink, createNode, encode } from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import { create as multihash } from 'multiformats/hashes/digest';

/**
 * Content identifiers (CIDv1, SHA-256) from hashes of raw leaves, in the balanced layout of UnixFS:
 *
 *     leaf   raw block                                        Tsize = its bytes
 *     node   dag-pb: links (CID, empty name, Tsize) before data = UnixFS file with the sizes below
 *                                                             Tsize = its bytes + those of its links
 *
 * A node takes `linksPerNode` in order; the last one of a level takes what is left, even a single one.
 */

/** Multicodec numbers of the two kinds of blocks, and of SHA-256. */
const RAW = 0x55;
const DAG_PB = 0x70;
const SHA2_256 = 0x12;

/** A block that has a place in the DAG. */
interface Entry {
  readonly cid: CID;
  /** Bytes of the block and of all below it. */
  readonly dagBytes: number;
  /** Bytes of the file that it stands for. */
  readonly fileBytes: number;
}

/** The CID of content that is one raw block, from its SHA-256. */
export function rawCid(sha256: Uint8Array): string {
  return blockCid(RAW, sha256).toString();
}

/** Builds a DAG of which only one node of each level is held. */
export interface DagBuilder {
  /** The next leaf: SHA-256 and length. */
  push(sha256: Uint8Array, leafBytes: number): void;
  /** The root's CID in text. @throws TypeError without a leaf: empty content is one empty leaf */
  finish(): string;
}

/**
 * @example
 * const dag = createDagBuilder(174);
 * dag.push(sha256OfFirst256KiB, 262144);
 * dag.finish(); // 'bafkrei…' for one leaf, 'bafybei…' for more
 */
export function createDagBuilder(linksPerNode: number): DagBuilder {
  const levels: Entry[][] = [];

  const add = (level: number, entry: Entry): void => {
    levels[level] ??= [];
    const open = levels[level] as Entry[];
    // Reduced only when one more comes: a single full node is the root.
    if (open.length === linksPerNode) add(level + 1, nodeOf(open.splice(0)));
    open.push(entry);
  };

  return {
    push: (sha256, leafBytes) =>
      add(0, { cid: blockCid(RAW, sha256), dagBytes: leafBytes, fileBytes: leafBytes }),
    finish() {
      for (let level = 0; ; level++) {
        const open = levels[level];
        const [first] = open ?? [];
        if (open === undefined || first === undefined) {
          throw new TypeError('"leaves" expected at least one, got none');
        }
        if (level === levels.length - 1 && open.length === 1) return first.cid.toString();
        add(level + 1, nodeOf(open));
      }
    },
  };
}

function nodeOf(children: readonly Entry[]): Entry {
  const file = new UnixFS({ type: 'file' });
  const links = children.map(({ cid, dagBytes, fileBytes }) => {
    file.addBlockSize(BigInt(fileBytes));
    return createLink('', dagBytes, cid);
  });
  const block = encode(createNode(file.marshal(), links));
  let dagBytes = block.length;
  let fileBytes = 0;
  for (const child of children) {
    dagBytes += child.dagBytes;
    fileBytes += child.fileBytes;
  }
  const sha256 = createHash('sha256').update(block).digest();
  return { cid: blockCid(DAG_PB, sha256), dagBytes, fileBytes };
}

function blockCid(codec: number, sha256: Uint8Array): CID {
  return CID.createV1(codec, multihash(SHA2_256, sha256));
}
