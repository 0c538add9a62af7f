import { Failure } from '../failure.ts'

/** @internal */
export type OutputFormat = 'human' | 'json'

/** The argument of `--output`. @internal */
export function outputFormat(value: string): OutputFormat {
  if (value === 'human' || value === 'json') return value
  throw new Failure('--output must be used with human or json as argument.')
}
