export interface Option {
  readonly option: string;
  readonly text: string;
  readonly fallback: string;
}
export function optionsOf(help: string): Option[];
export function optionTables(helps: ReadonlyMap<string, string>): string;
export function withTables(text: string, tables: string): string;
export const BEGIN: string;
export const END: string;
