import type { BlockCodec } from '../../compress/ports.js';
import type { Clock } from '../../flow/index.js';
import { MerkleHash } from '../../hash/index.js';
import type { Exchange } from '../../http/index.js';
import { damaged } from '../failures.js';
import type { ByteSpan } from '../ranges.js';
import type { GatewayServices } from '../services.js';
import type { TokenSigner } from '../token-signer.js';
import { type Claims, createClaims } from './claims.js';
import { createDefaultAttributes } from './default-attributes.js';
import type { HubEngine, HubStored, HubUpload } from './engine.js';
import { fileBytes } from './file-bytes.js';
import type { FileEntry } from './formats.js';
import { createSha256 } from './ids.js';
import type { RepoType } from './names.js';
import { createHubObjects, type HubObjects } from './objects.js';
import { createRepos, type Repos } from './repos.js';

/** Repositories over a store, whoever asks. */
export interface HubBase {
  readonly repos: Repos;
  readonly objects: HubObjects;
  readonly clock: Clock;
}

/** What the routes of the Hub share: one per tenant, over its part of the store. */
export interface Hub extends HubBase {
  readonly services: GatewayServices;
  readonly claims: Claims;
  /** Makes tokens for the store; undefined: clients use those that they have. */
  readonly signer: TokenSigner | undefined;
  /** Stores files that came whole; the results are in their order. */
  store(files: readonly HubUpload[], signal: AbortSignal): Promise<readonly HubStored[]>;
  /** The `.gitattributes` that a new repository of a type begins with, stored. */
  attributesOf(type: RepoType, signal: AbortSignal): Promise<FileEntry>;
  /** Bytes of a registered file. @throws OrbweaverError 410 when it is gone or damaged */
  bytes(file: MerkleHash, span: ByteSpan): Promise<AsyncGenerator<Uint8Array, void, undefined>>;
}

export interface HubParts {
  readonly services: GatewayServices;
  readonly codec: BlockCodec;
  readonly engine: HubEngine;
  readonly signer: TokenSigner | undefined;
  /** This gateway, for the engine, in the name of the tenant. */
  readonly inside: Exchange;
}

/** Null: the store has no place for what changes. */
export function createHub({ services, codec, engine, signer, inside }: HubParts): Hub | null {
  const { store, index, hasher, clock, random } = services;
  const { values } = store;
  if (values === undefined) return null;
  const hub: Hub = {
    services,
    signer,
    repos: createRepos({ values, clock, random }),
    objects: createHubObjects(store, clock),
    clock,
    claims: createClaims({
      store,
      index,
      hasher,
      clock,
      background: services.background,
      async digestOf(file) {
        const sha256 = createSha256();
        const end = Number.MAX_SAFE_INTEGER;
        for await (const piece of await hub.bytes(file, { start: 0, end })) sha256.update(piece);
        return sha256.digest();
      },
    }),
    store: (files, signal) => engine.store(inside, files, signal),
    attributesOf: (type, signal) => attributesOf(type, signal),
    async bytes(file, span) {
      if (file.equals(EMPTY_FILE)) return nothing();
      const known = await services.files.get(file);
      if (known === null) throw damaged(`file ${file} is gone`);
      return fileBytes({ ...services, codec }, known, span);
    },
  };
  const attributesOf = createDefaultAttributes(hub);
  return hub;
}

/** The hash of a file without bytes, which no store need have. */
export const EMPTY_FILE: MerkleHash = MerkleHash.parse('0'.repeat(64));

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
