/**
 * Options of a command line as getopt_long(3) takes them apart: clusters of short options (`-Uf raw`, `-fraw`), long
 * options with `=` or a separate argument, unambiguous abbreviations (`--out=json`), options behind operands, `--`.
 *
 * Written for this tool although the field has commander and its like, because a drop-in has to agree with getopt on
 * every command line that scripts contain: commander knows no abbreviations, takes `-1` for an option only sometimes,
 * words its errors differently and reports them after the whole line is read, while qemu-img works through its options
 * in order, so that the first mistake is the one that is named. None of that can be configured.
 */
import { UsageError } from '../failure.ts'

/** An option that a command knows. @internal */
export interface OptionSyntax {
  /** What {@link Getopt} calls it. */
  readonly name: string
  /** One letter, if it has one. */
  readonly short?: string
  /** Long spellings, without dashes. */
  readonly long?: string
  readonly argument?: boolean
}

/** An option that was found. @internal */
export interface FoundOption {
  readonly name: string
  /** The argument; empty for options that take none. */
  readonly value: string
}

/**
 * Goes through a command line, option by option; mistakes are thrown when they are reached.
 *
 * @internal
 */
export class Getopt implements Iterable<FoundOption> {
  readonly #command: string
  readonly #args: readonly string[]
  readonly #syntax: readonly OptionSyntax[]
  readonly #operands: string[] = []
  readonly #stopAtOperand: boolean

  /**
   * @param command - the word in front of the arguments
   * @param how - `stopAtOperand`: everything from the first operand on is one
   */
  constructor(command: string, args: readonly string[], syntax: readonly OptionSyntax[], how: { readonly stopAtOperand?: boolean } = {}) {
    this.#command = command
    this.#stopAtOperand = how.stopAtOperand ?? false
    this.#args = args
    this.#syntax = syntax
  }

  /** What is no option, complete after the last option was taken. */
  get operands(): readonly string[] {
    return this.#operands
  }

  *[Symbol.iterator](): Generator<FoundOption> {
    const args = this.#args
    for (let i = 0; i < args.length; i++) {
      const arg = args[i]!
      if (arg === '--') {
        this.#operands.push(...args.slice(i + 1))
        return
      }
      if (arg === '-' || !arg.startsWith('-')) {
        if (this.#stopAtOperand) {
          this.#operands.push(...args.slice(i))
          return
        }
        this.#operands.push(arg)
      } else if (arg.startsWith('--')) {
        const { option, value } = this.#long(arg)
        if (option.argument && value === undefined) {
          if (i + 1 === args.length) throw new UsageError(`missing argument for option '${arg}'`)
          i++
        }
        yield { name: option.name, value: value ?? (option.argument ? args[i]! : '') }
      } else {
        i = yield* this.#cluster(i)
      }
    }
  }

  /** One word of short options; returns the place of the last word it took. */
  *#cluster(at: number): Generator<FoundOption, number> {
    const word = this.#args[at]!
    for (let i = 1; i < word.length; i++) {
      const option = this.#syntax.find(({ short }) => short === word[i])
      const last = i === word.length - 1
      if (option === undefined) throw new UsageError(`unrecognized option '${last ? word : this.#before(at)}'`)
      if (!option.argument) {
        yield { name: option.name, value: '' }
      } else if (!last) {
        yield { name: option.name, value: word.slice(i + 1) }
        return at
      } else {
        if (at + 1 === this.#args.length) throw new UsageError(`missing argument for option '${word}'`)
        yield { name: option.name, value: this.#args[at + 1]! }
        return at + 1
      }
    }
    return at
  }

  /** The word that getopt's index points at while a cluster is not finished: the one in front, operands moved there. */
  #before(at: number): string {
    return this.#operands.at(-1) ?? this.#args[at - 1] ?? this.#command
  }

  #long(word: string): { option: OptionSyntax; value: string | undefined } {
    const equals = word.indexOf('=')
    const name = word.slice(2, equals < 0 ? undefined : equals)
    const known = this.#syntax.filter(({ long }) => long?.startsWith(name))
    const option = known.find(({ long }) => long === name) ?? (known.length === 1 ? known[0] : undefined)
    const value = equals < 0 ? undefined : word.slice(equals + 1)
    if (option === undefined || (value !== undefined && !option.argument)) throw new UsageError(`unrecognized option '${word}'`)
    return { option, value }
  }
}
