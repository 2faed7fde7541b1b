import { isOrbweaverError } from '../../../errors.js';
import { Scope } from '../../../flow/index.js';
import { targetError } from '../errors.js';
import { textOf } from '../json-fields.js';
import type { StepContext, TargetNote } from '../ports.js';
import type { BurnPayment, CascadeSettings } from './options.js';
import type { Uploaded } from './upload.js';

/**
 * Payments: at most one under way, and none is ever made twice. The journal has, for each,
 *
 *     pay (reference, amount) ─► paid (txid)            all went well
 *                             ─► pay-declined           certainly not paid
 *                             (nothing)                 killed in between: only the wallet knows
 */

/** A burn transaction that was made and is in the journal. */
interface PaidBurn {
  readonly reference: string;
  readonly amount: string;
  readonly txid: string;
  /** The upload that it was paid for. */
  readonly fileId: string;
}

/** Amounts that are as good as equal. */
const SAME_AMOUNT = 0.01;

/**
 * The transactions for all amounts, in their order; makes the ones that are missing.
 * @throws OrbweaverError `PAYMENT_REQUIRED` when a payment was declined, `OUTCOME_UNKNOWN` when nobody
 * knows whether one was made
 */
export async function payAll(
  settings: CascadeSettings,
  uploaded: Uploaded,
  context: StepContext,
): Promise<readonly string[]> {
  await settleOpen(settings, uploaded.amounts.length, context);
  const spent = new Set(startedTxids(context.notes));
  const paid = paidBurns(context.notes);
  const unspent = paid.filter(({ txid }) => !spent.has(txid));
  const txids: string[] = [];
  const { fileId, amounts } = uploaded;
  for (const [index, amount] of amounts.entries()) {
    const reference = `${fileId}-${index}`;
    const own = paid.find((burn) => burn.reference === reference);
    // What was paid for an upload that was lost is still good for the same amount.
    const other = unspent.find(
      (burn) =>
        burn.fileId !== fileId && Math.abs(Number(burn.amount) - Number(amount)) < SAME_AMOUNT,
    );
    const burn = own ?? other;
    if (burn !== undefined) {
      if (burn === other) unspent.splice(unspent.indexOf(burn), 1);
      txids.push(burn.txid);
      continue;
    }
    checkSignal(context.signal);
    context.progress({ stage: 'paying', fraction: index / amounts.length });
    const payment = {
      amount,
      index,
      count: amounts.length,
      fileId,
      reference,
      signal: context.signal,
    };
    txids.push(await payOne(settings, payment, context));
  }
  return txids;
}

/**
 * Payments of which nobody knows whether they were made, those for lost uploads among them: the wallet
 * says.
 * @throws OrbweaverError `OUTCOME_UNKNOWN` when it cannot be asked
 */
async function settleOpen(
  settings: CascadeSettings,
  count: number,
  context: StepContext,
): Promise<void> {
  for (const { data } of openPayments(context.notes)) {
    const reference = textOf(data['reference']);
    await look(settings, context, {
      amount: textOf(data['amount']),
      index: Number(reference.split('-').at(-1)),
      count,
      fileId: textOf(data['fileId']),
      reference,
      signal: context.signal,
    });
  }
}

/**
 * Whether a payment that may have been made was; writes the outcome down.
 * @throws OrbweaverError `OUTCOME_UNKNOWN` when the wallet cannot be asked
 */
async function look(
  settings: CascadeSettings,
  context: StepContext,
  payment: BurnPayment,
): Promise<void> {
  const { reference, amount, fileId } = payment;
  if (settings.findBurn === undefined) {
    throw unknownPayment(payment, 'an earlier run was ended while it was paid');
  }
  const txid = await settings.findBurn(payment);
  if (txid === null) await context.note('pay-declined', { reference, amount, fileId });
  else await keep(context, payment, txid);
}

/** Writes a payment down that was made. @throws OrbweaverError `OUTCOME_UNKNOWN` for no new transaction */
async function keep(context: StepContext, payment: BurnPayment, txid: unknown): Promise<string> {
  const { reference, amount, fileId } = payment;
  const known = paidBurns(context.notes).some((burn) => burn.txid === txid);
  if (typeof txid !== 'string' || !/^[0-9a-f]{64}$/i.test(txid) || known) {
    throw unknownPayment(payment, 'the wallet expected to name a new transaction of 64 hex digits');
  }
  await context.note('paid', { reference, amount, fileId, txid });
  return txid;
}

/** @throws OrbweaverError `ABORTED` */
function checkSignal(signal: AbortSignal): void {
  const scope = new Scope({ signal, what: 'the transfer' });
  scope.check();
  scope.close();
}

async function payOne(
  settings: CascadeSettings,
  payment: BurnPayment,
  context: StepContext,
): Promise<string> {
  const { reference, amount, fileId } = payment;
  // On disk before any coin moves.
  await context.note('pay', { reference, amount, fileId });
  let txid: string;
  try {
    txid = await settings.payBurn(payment);
  } catch (error) {
    if (!isOrbweaverError(error) || error.code !== 'PAYMENT_REQUIRED') {
      throw unknownPayment(payment, 'the wallet failed', error);
    }
    await context.note('pay-declined', { reference, amount, fileId });
    throw targetError({
      kind: 'cascade',
      class: 'payment-required',
      message: `a burn transaction of ${amount} coins was declined`,
      ids: { fileId, reference },
      cause: error,
    });
  }
  return keep(context, payment, txid);
}

function unknownPayment(payment: BurnPayment, why: string, cause?: unknown): Error {
  const { reference, amount, fileId, index } = payment;
  return targetError({
    kind: 'cascade',
    class: 'unknown-outcome',
    message: `burn ${index} of ${amount} coins may have been paid (${why}); it is not paid again: look for the reference ${reference} in the wallet`,
    ids: { fileId, reference, amount },
    cause,
  });
}

/** Payments of which the last word is that they are being made. */
function openPayments(notes: readonly TargetNote[]): TargetNote[] {
  const last = new Map<string, TargetNote>();
  for (const note of notes) {
    if (['pay', 'paid', 'pay-declined'].includes(note.kind)) {
      last.set(textOf(note.data['reference']), note);
    }
  }
  return [...last.values()].filter(({ kind }) => kind === 'pay');
}

/** Coins were spent, or may have been. */
export function coinsMoved(notes: readonly TargetNote[]): boolean {
  return openPayments(notes).length > 0 || paidBurns(notes).length > 0;
}

/** All that were paid, in this run and earlier ones. */
export function paidBurns(notes: readonly TargetNote[]): PaidBurn[] {
  return notes
    .filter(({ kind }) => kind === 'paid')
    .map(({ data }) => ({
      reference: textOf(data['reference']),
      amount: textOf(data['amount']),
      txid: textOf(data['txid']),
      fileId: textOf(data['fileId']),
    }));
}

/** Transactions that went along with a start that was not refused. */
function startedTxids(notes: readonly TargetNote[]): string[] {
  const txids = new Set<string>();
  for (const { kind, data } of notes) {
    const { txids: named } = data;
    if (!Array.isArray(named)) continue;
    for (const txid of named.map(textOf)) {
      if (kind === 'start') txids.add(txid);
      else if (kind === 'start-refused') txids.delete(txid);
    }
  }
  return [...txids];
}
