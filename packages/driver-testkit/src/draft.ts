import type { Case, CaseOptions, FacetName } from './case.ts'
import { annotate, type Bench } from './bench/bench.ts'
import { checkAbsent } from './facet-presence.ts'
import { failure } from './failure.ts'
import type { Fixture } from './fixture.ts'
import { Random } from './model/random.ts'
import { realWatchdog, type Watchdog } from './watchdog.ts'

/** A case as it is written: on a bench. @internal */
export interface Draft<B> {
  readonly name: string
  readonly needs?: readonly FacetName[]
  readonly run: (bench: B) => Promise<void>
}

/** Turns drafts into cases: each gets a bench of its own, and ends with everything closed and checked. @internal */
export function casesOf<F extends Fixture, B extends Bench<F>>(
  drafts: readonly Draft<B>[], make: (fixture: F, random: Random, watch: Watchdog) => B, options: CaseOptions = {},
): readonly Case<F>[] {
  const seed = options.seed ?? 1
  const watch = options.watchdog ?? realWatchdog()
  const exclude = options.exclude ?? {}
  const names = new Set(drafts.map((draft) => draft.name))
  for (const [name, reason] of Object.entries(exclude)) {
    if (!names.has(name)) throw failure(`there is no case '${name}' to exclude`)
    if (reason.trim() === '') throw failure(`the exclusion of '${name}' needs a reason`)
  }

  const onBench = async (fixture: F, body: (bench: B) => Promise<void>) => {
    const bench = make(fixture, new Random(seed), watch)
    try {
      await body(bench)
      await bench.finish()
    } catch (error) {
      bench.abandon()
      throw annotate(error, seed)
    }
  }
  return drafts.map((draft) => Object.freeze({
    name: draft.name,
    needs: draft.needs ?? [],
    ...(Object.hasOwn(exclude, draft.name) && { excluded: exclude[draft.name]! }),
    run: (fixture: F) => onBench(fixture, draft.run),
    refused: (fixture: F, missing: FacetName) => onBench(fixture, (bench) => checkAbsent(bench, missing)),
  }))
}
