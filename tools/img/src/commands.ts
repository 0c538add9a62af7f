import type { Command } from './command.ts'
import { amend } from './commands/amend.ts'
import { bench } from './commands/bench.ts'
import { bitmap } from './commands/bitmap.ts'
import { check } from './commands/check.ts'
import { commit } from './commands/commit.ts'
import { compare } from './commands/compare.ts'
import { convert } from './commands/convert.ts'
import { create } from './commands/create.ts'
import { info } from './commands/info.ts'
import { map } from './commands/map.ts'
import { measure } from './commands/measure.ts'
import { rebase } from './commands/rebase.ts'
import { resize } from './commands/resize.ts'
import { snapshot } from './commands/snapshot.ts'

/**
 * All commands, by name. Loaded when one is asked for, and all at once: what they share is much more than what they do not,
 * and to load one file is faster than twenty.
 *
 * @internal
 */
export const COMMANDS: Readonly<Record<string, Command>> = {
  amend,
  bench,
  bitmap,
  check,
  commit,
  compare,
  convert,
  create,
  info,
  map,
  measure,
  rebase,
  resize,
  snapshot,
}
