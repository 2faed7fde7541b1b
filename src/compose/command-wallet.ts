import { type ExecFileException, execFile } from 'node:child_process';
import { OrbweaverError } from '../errors.js';
import type { BurnPayment, CascadeOptions } from '../transport/targets.js';

/**
 * A wallet that is a program, for the command line. It is called without a shell as
 *
 *     PROGRAM AMOUNT REFERENCE FILE-ID INDEX COUNT
 *
 * and prints the id of the transaction, 64 hex digits. The command that pays ends with 3 to decline; the
 * one that looks prints nothing when there was certainly no such payment.
 */
export function commandWallet(
  settings: Readonly<Record<string, string>>,
): Pick<CascadeOptions, 'payBurn' | 'findBurn'> {
  const { payCommand, findCommand } = settings;
  return {
    async payBurn(payment) {
      if (payCommand === undefined) {
        throw new OrbweaverError(
          'PAYMENT_REQUIRED',
          'the setting "payCommand" expected a program that makes burn transactions, got none',
        );
      }
      return run(payCommand, payment);
    },
    ...(findCommand === undefined
      ? {}
      : {
          async findBurn(payment) {
            const txid = await run(findCommand, payment);
            return txid === '' ? null : txid;
          },
        }),
  };
}

/** Exit code by which a wallet says that it has not paid and will not. */
const DECLINED = 3;

function run(program: string, payment: BurnPayment): Promise<string> {
  const { amount, reference, fileId, index, count } = payment;
  const args = [amount, reference, fileId, String(index), String(count)];
  return new Promise((resolve, reject) => {
    // Not ended with the transfer: a wallet that is killed while it pays is the worst of all.
    execFile(program, args, { encoding: 'utf8' }, (error: ExecFileException | null, stdout) => {
      if (error === null) resolve(stdout.trim());
      else if (error.code === DECLINED) reject(declined(program));
      else if (error.code === 'ENOENT' || error.code === 'EACCES') reject(notThere(program, error));
      else reject(error);
    });
  });
}

function declined(program: string): OrbweaverError {
  return new OrbweaverError('PAYMENT_REQUIRED', `"${program}" declined to pay`);
}

/** It never ran, so nothing was paid. */
function notThere(program: string, cause: Error): OrbweaverError {
  return new OrbweaverError('PAYMENT_REQUIRED', `"${program}" cannot be run`, {}, cause);
}
