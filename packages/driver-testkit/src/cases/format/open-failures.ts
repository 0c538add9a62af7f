import type { FormatBench } from '../../bench/format-bench.ts'
import { CHANGES, type RequestKind } from '../../child/faults.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import { checkInjected, outcomeOf } from '../errors.ts'

const ANY: readonly RequestKind[] = ['open', 'read', 'write', 'zero', 'discard', 'flush', 'resize', 'extents']
/** An open that makes more requests than this is tried at a sample of them. */
const EVERY = 40

/** @internal */
export const openFailureCases: readonly Draft<FormatBench>[] = [
  {
    name: 'open: any request to a child may fail; then open fails and leaves nothing behind',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      for (const readOnly of bench.has('writer') ? [true, false] : [true]) {
        for (let at = 1; ; at += at < EVERY ? 1 : at) {
          const session = image.clone().session({ readOnly })
          session.faults.arm({ kinds: ANY, at, errno: 'EIO' })
          let opened: Awaited<ReturnType<typeof session.open>> | undefined
          const outcome = await outcomeOf(async () => {
            opened = await session.open()
          })
          if (!outcome.ok) checkInjected(outcome.error, session.faults, `open (readOnly: ${readOnly}, request ${at} failing)`)
          const { struck } = session.faults
          session.faults.disarm()
          // A driver may do without what it could not read, but not read something else.
          if (opened) {
            if (struck) await model.checkAll(opened, `opened although request ${at} failed`)
            await opened.close()
          }
          if (!struck) break
        }
      }
    },
  },
  {
    name: 'open: fails for good when a child is not there',
    run: async (bench) => {
      const image = await bench.create()
      const only = image.clone()
      only.files.delete('file')
      const outcome = await outcomeOf(() => only.session().open())
      check(!outcome.ok, "the image opened without its child 'file'")
    },
  },
  {
    name: 'open: aborted at any point, it ends with the reason of the signal or opens as if nothing were',
    run: async (bench) => {
      const { image, model } = await bench.filled()
      for (let at = 0; ; at += at < EVERY ? 1 : at) {
        const controller = new AbortController()
        const reason = new DOMException('the user gave up', 'AbortError')
        const session = image.clone().session()
        if (at === 0) controller.abort(reason)
        else session.faults.arm({ kinds: ANY, at, errno: 'EIO', instead: () => controller.abort(reason) })
        let opened: Awaited<ReturnType<typeof session.open>> | undefined
        const outcome = await outcomeOf(async () => {
          opened = await session.open(controller.signal)
        })
        if (!outcome.ok) check(outcome.error === reason, 'an aborted open ends with another error than the reason of the signal')
        if (opened) {
          await model.checkAll(opened, `opened although aborted at request ${at}`)
          await opened.close()
        }
        if (at > 0 && !session.faults.struck) break
      }
    },
  },
  {
    name: 'create: any change of the file may fail; then create fails and leaves nothing behind',
    needs: ['creation'],
    run: async (bench) => {
      for (let at = 1; ; at += at < EVERY ? 1 : at) {
        const errno = at % 2 ? 'EIO' : 'ENOSPC'
        const session = bench.creationSession()
        session.faults.arm({ kinds: CHANGES, at, errno })
        const outcome = await outcomeOf(() => bench.runCreateIn(session))
        if (!session.faults.struck) break
        check(!outcome.ok, `create succeeded although change ${at} of the file failed`)
        checkInjected(outcome.error, session.faults, `create (change ${at} failing)`)
      }
    },
  },
]
