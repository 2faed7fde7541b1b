import { isOrbweaverError, OrbweaverError } from '../errors.js';

/** The next step after an error of a Hub, whose names and settings are not those of a store. */
export function withHubHint(error: unknown): unknown {
  if (!isOrbweaverError(error) || typeof error.fields['hint'] === 'string') return error;
  const hint = hintOf(error);
  if (hint === null) return error;
  const { code, message, fields, cause } = error;
  return new OrbweaverError(code, message, { ...fields, hint }, cause);
}

/** Null: that of any command says it. */
function hintOf({ code, fields }: OrbweaverError): string | null {
  if (code === 'NETWORK') {
    return 'Check the address of the Hub (--endpoint, HF_ENDPOINT) and the network, then try again.';
  }
  if (code === 'AUTH_REQUIRED') {
    return 'Pass a valid token of the Hub in HF_TOKEN, or with --token-file FILE.';
  }
  if (code !== 'NOT_FOUND') return null;
  const { hubCode } = fields;
  if (hubCode === 'RevisionNotFound') {
    return 'Check the branch, tag or commit after the "@"; a slash in it is written %2F.';
  }
  return hubCode === 'RepoNotFound'
    ? 'Check the name of the repository, and its kind: hf://datasets/…, hf://spaces/…, or a model.'
    : 'Check the path: orbweaver ls hf://… shows what is there.';
}
