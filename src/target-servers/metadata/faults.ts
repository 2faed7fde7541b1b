/**
 * What can go wrong around a file's metadata, to be switched on while the servers run. Those marked
 * "once" switch themselves off when they have happened.
 */
export interface MetadataFaults {
  /** Where a taken name is noticed. @default put */
  nameTakenAt?: 'signedUrls' | 'put' | 'later' | undefined;
  /** The next signed URL is past its time. Once. */
  expiredUrl?: boolean | undefined;
  /** Every signed URL is past its time. */
  alwaysExpired?: boolean | undefined;
  /** Signs another Content-Type than the one it returns. Once. */
  wrongContentType?: boolean | undefined;
  /** Responds with `payload` where `results` belongs. */
  payloadKey?: boolean | undefined;
  /** Refuses every key. */
  refuse?: boolean | undefined;
  /** Says another hash than the content's. */
  wrongHash?: boolean | undefined;
  /** Says another size than the content's. */
  wrongSize?: boolean | undefined;
  /** The hash is there a tick before the CID. */
  hashBeforeCid?: boolean | undefined;
  /** The next calls of the API end with 502 and a text. Counts down. */
  badGateway?: number | undefined;
  /** The next calls of the API end with 429 and `Retry-After: 1`. Counts down. */
  rateLimited?: number | undefined;
  /** A file that was stored stays 404 for so many calls of `fileMetadata`. Counts down. */
  invisible?: number | undefined;
  /** A stored file disappears: 404 from then on. */
  vanished?: string | undefined;
  /** Breaks the connection of a PUT after so many bytes. Once. */
  cutPutAfterBytes?: number | undefined;
  /** Stores the file, then breaks the connection instead of responding. Once. */
  losePutResponse?: boolean | undefined;
  /** The next PUTs end with 503. Counts down. */
  failPut?: number | undefined;
  /** Sends a PUT elsewhere (307 to this URL). */
  redirectPut?: string | undefined;
  /** Hands out signed URLs at this origin. */
  urlOrigin?: string | undefined;
}
