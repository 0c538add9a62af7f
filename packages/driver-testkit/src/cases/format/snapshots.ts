import { isBlockError, type SnapshotInfo } from '@blockloom/block-driver'
import type { FormatBench } from '../../bench/format-bench.ts'
import { OpenedImage } from '../../bench/opened-image.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'
import type { ByteModel } from '../../model/byte-model.ts'
import { perform, planOperation, settle } from '../../model/workload.ts'
import { checkHealth, checkReopened } from '../health.ts'
import { checkJson } from '../shared/facts.ts'

/** @internal */
export const snapshotCases: readonly Draft<FormatBench>[] = [
  {
    name: 'snapshots: keep the disk as it was, by id and by name, through writes, close and open',
    needs: ['snapshots.create', 'writer'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      check(opened.instance.snapshots!.list().length === 0, 'a new image has snapshots')
      const first = await create(opened, 'first')
      const atFirst = model.clone()
      await scribble(bench, opened, model)
      const second = await create(opened, 'second')
      const atSecond = model.clone()
      await scribble(bench, opened, model)
      check(first.id !== second.id, `two snapshots have the id '${first.id}'`)

      const examine = async (one: OpenedImage) => {
        checkList(one, ['first', 'second'])
        await model.checkAll(one, 'the disk after snapshots')
        await checkSnapshot(bench, one, first.id, atFirst)
        await checkSnapshot(bench, one, 'second', atSecond)
        await checkHealth(one, 'with snapshots', 'none')
      }
      await examine(opened)
      await opened.close()
      const again = await bench.open(image)
      await examine(again)
      let current = model
      if (bench.has('snapshots.revert')) {
        await again.call('snapshots.revert()', () => again.instance.snapshots!.revert!('first'))
        await atFirst.checkAll(again, 'after revert')
        current = atFirst.clone()
        await scribble(bench, again, current)
        await checkSnapshot(bench, again, 'first', atFirst)
        await checkSnapshot(bench, again, 'second', atSecond)
      }
      if (bench.has('snapshots.remove')) {
        await again.call('snapshots.remove()', () => again.instance.snapshots!.remove!('first'))
        checkList(again, ['second'])
        await checkSnapshot(bench, again, 'second', atSecond)
        await again.call('snapshots.remove()', () => again.instance.snapshots!.remove!(second.id))
        checkList(again, [])
        await current.checkAll(again, 'after removing all snapshots')
      }
      await checkHealth(again, 'at the end', 'none')
      await again.close()
      await checkReopened(bench, image, current, 'after opening again')
    },
  },
  {
    name: 'snapshots: a name that is not there is not-found, and nothing changes',
    needs: ['snapshots'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image)
      const facet = opened.instance.snapshots!
      for (const [what, call] of [
        ['openReadOnly', () => facet.openReadOnly('nowhere')],
        ['revert', facet.revert && (() => facet.revert!('nowhere'))],
        ['remove', facet.remove && (() => facet.remove!('nowhere'))],
      ] as const) {
        if (!call) continue
        const error: unknown = await opened.call<unknown>(what, call).then(() => undefined, (reason: unknown) => reason)
        check(isBlockError(error, 'not-found'), `snapshots.${what} of an unknown name: expected a BlockError with the code not-found`)
      }
      await model.checkAll(opened, 'after requests for unknown snapshots')
      await opened.close()
    },
  },
]

async function create(opened: OpenedImage, name: string): Promise<SnapshotInfo> {
  const info = await opened.call('snapshots.create()', () => opened.instance.snapshots!.create!({ name }))
  checkJson(info, 'a snapshot')
  check(info.name === name, `the snapshot is called '${info.name}', expected '${name}'`)
  return info
}

function checkList(opened: OpenedImage, names: readonly string[]): void {
  const list = opened.instance.snapshots!.list()
  const found = list.map((one) => one.name)
  check(found.join() === names.join(), `snapshots.list() has ${found.join(', ') || 'none'}, expected ${names.join(', ') || 'none'}`)
  checkJson(list, 'snapshots.list()')
}

async function checkSnapshot(bench: FormatBench, opened: OpenedImage, select: string, expected: ByteModel): Promise<void> {
  const instance = await opened.call('snapshots.openReadOnly()', () => opened.instance.snapshots!.openReadOnly(select))
  check(instance.writer === undefined, 'a snapshot can be written to')
  const snapshot = new OpenedImage(instance, { watch: bench.watch, verify: () => {}, closed: async () => {}, session: opened.session })
  await expected.checkAll(snapshot, `the snapshot '${select}'`)
  await snapshot.closeWithoutFlush()
}

async function scribble(bench: FormatBench, opened: OpenedImage, model: ByteModel): Promise<void> {
  const cluster = await bench.cluster()
  for (let i = 0; i < 12; i++) {
    const operation = planOperation(bench.random, { model: () => model, session: () => opened.session, discarded: (_at, bytes) => [new Uint8Array(bytes)] }, opened, model.size, cluster)
    // What a discard leaves is not defined, so it could not be compared with the snapshot later.
    if (operation.kind !== 'discard' && (await perform(opened, operation))) settle(model, operation)
  }
}
