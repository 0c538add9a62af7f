import { Failure } from '../failure.ts'
import type { ProgressStyle } from '../output/progress.ts'

/** The argument of `--progress`. @internal */
export function progressStyle(value: string): ProgressStyle {
  if (value === 'json' || value === 'text' || value === 'none') return value
  throw new Failure('--progress must be used with text, json or none as argument.')
}
