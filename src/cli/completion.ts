import { EXIT } from '../errors.js';
import { defineCommand, type OptionSpec, usage } from './command.js';
import type { Command } from './context.js';

/** A command as a shell completes it. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionSpec[];
  /** What its first argument may be; none: files. */
  readonly words: readonly string[];
}

/** What is known of each command: its name, its line in the list, and how to load it. */
export interface CommandEntry {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

const SHELLS: Readonly<Record<string, (commands: readonly Completed[]) => string>> = {
  bash,
  zsh,
  fish,
};

/** The command that writes completions of all the others. */
export function completionCommand(entries: readonly CommandEntry[]): Command {
  return defineCommand({
    usage: ['completion bash|zsh|fish'],
    about: `Prints a completion script for a shell. To use it at once:

  bash  source <(orbweaver completion bash)
  zsh   source <(orbweaver completion zsh)
  fish  orbweaver completion fish | source`,
    options: [],
    words: Object.keys(SHELLS),
    run: async ({ positionals }, context) => {
      const [shell, ...others] = positionals;
      const write = shell === undefined ? undefined : SHELLS[shell];
      if (write === undefined || others.length > 0) {
        const got = positionals.length === 0 ? 'none' : `"${positionals.join(' ')}"`;
        throw usage(`completion expected one of ${Object.keys(SHELLS).join(', ')}, got ${got}`);
      }
      const commands = entries.map(async ({ name, summary, load }) => {
        const { options, words } = await load();
        return { name, summary, options, words };
      });
      context.stdout.write(write(await Promise.all(commands)));
      return EXIT.ok;
    },
  });
}

function flagsOf({ options }: Completed): string {
  return options
    .flatMap(({ name, short }) => [`--${name}`, ...(short ? [`-${short}`] : [])])
    .join(' ');
}

function bash(commands: readonly Completed[]): string {
  const choices = commands.flatMap(({ name, options }) =>
    options
      .filter((option) => option.choices !== undefined)
      .map((option) => `    ${name}:--${option.name}) words="${option.choices?.join(' ')}" ;;`),
  );
  const words = commands
    .filter((command) => command.words.length > 0)
    .map((command) => `      ${command.name}) words="${command.words.join(' ')}" ;;`);
  return `_orbweaver() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} --help --version" -- "$cur"))
    return
  fi
  if [ "$COMP_CWORD" -eq 2 ] && [[ "$cur" != -* ]]; then
    case "\${COMP_WORDS[1]}" in
${words.join('\n')}
    esac
  fi
  case "\${COMP_WORDS[1]}:$prev" in
${choices.join('\n')}
  esac
  if [ -z "$words" ] && [[ "$cur" == -* ]]; then
    case "\${COMP_WORDS[1]}" in
${commands.map((command) => `      ${command.name}) words="${flagsOf(command)}" ;;`).join('\n')}
    esac
  fi
  [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o bashdefault -o default -F _orbweaver orbweaver
`;
}

function zsh(commands: readonly Completed[]): string {
  const quote = (text: string): string =>
    text.replace(/'/g, "'\\\\''").replace(/[[\]:]/g, '\\\\$&');
  const argument = ({ name, value, help, choices }: OptionSpec): string => {
    const rest =
      value === undefined ? '' : `:${value}:${choices ? `(${choices.join(' ')})` : '_files'}`;
    return `'--${name}[${quote(help)}]${rest}'`;
  };
  // The name of the command is the first argument.
  const first = (words: readonly string[]): string =>
    words.length === 0 ? '' : `'1:command: ' '2:what:(${words.join(' ')})' `;
  return `#compdef orbweaver
_orbweaver() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${commands.map(({ name, summary }) => `      '${name}:${quote(summary)}'`).join('\n')}
    )
    _describe command commands
    return
  fi
  case $words[2] in
${commands.map(({ name, options, words }) => `    ${name}) _arguments ${options.map(argument).join(' ')} ${first(words)}'*:file:_files' ;;`).join('\n')}
  esac
}
compdef _orbweaver orbweaver
`;
}

function fish(commands: readonly Completed[]): string {
  const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const lines = commands.flatMap(({ name, summary, options, words }) => [
    `complete -c orbweaver -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`,
    ...(words.length === 0
      ? []
      : [
          `complete -c orbweaver -n '__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${words.join(' ')}' -f -a ${quote(words.join(' '))}`,
        ]),
    ...options.map(({ name: option, short, value, help, choices }) =>
      [
        `complete -c orbweaver -n '__fish_seen_subcommand_from ${name}' -l ${option}`,
        ...(short === undefined ? [] : [`-s ${short}`]),
        ...(value === undefined ? [] : ['-r']),
        ...(choices === undefined ? [] : [`-f -a ${quote(choices.join(' '))}`]),
        `-d ${quote(help)}`,
      ].join(' '),
    ),
  ]);
  return `${lines.join('\n')}\n`;
}
