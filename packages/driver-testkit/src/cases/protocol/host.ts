import { isBlockError, parseOptions, type CreateContext } from '@blockloom/block-driver'
import type { ProtocolBench } from '../../bench/protocol-bench.ts'
import { VirtualClock } from '../../bench/virtual-clock.ts'
import type { Draft } from '../../draft.ts'
import { check, checkBytes, failure } from '../../failure.ts'
import { describe, outcomeOf } from '../errors.ts'

/** @internal */
export const protocolDrafts: readonly Draft<ProtocolBench>[] = [
  {
    name: 'protocol: opening what is not there is not-found',
    run: async (bench) => {
      const options = await bench.fixture.missing?.()
      if (!options) return
      for (const readOnly of [true, false]) {
        const outcome = await outcomeOf(() => bench.sessionOf(options, { readOnly }).open())
        check(!outcome.ok, 'something that is not there was opened')
        if (!isBlockError(outcome.error, 'not-found')) throw failure(`expected a BlockError with the code not-found, not ${describe(outcome.error)}`, outcome.error)
      }
    },
  },
  {
    name: 'protocol: what was flushed is on the host',
    needs: ['writer'],
    run: async (bench) => {
      const { peek } = bench.fixture
      const { image, model } = await bench.filled()
      if (!peek) return
      const opened = await bench.open(image)
      const data = bench.random.bytes(opened.limits.requestAlignment * 3)
      await opened.write(opened.limits.requestAlignment, data)
      model.write(opened.limits.requestAlignment, data)
      await opened.flush('stable')
      model.check(0, (await peek(image.options)).subarray(0, model.size), 'the host after a flush')
      await opened.close()
      checkBytes((await peek(image.options)).subarray(0, model.size), model.slice(0, model.size), 'the host after close')
    },
  },
  {
    name: 'protocol: filenames become valid options',
    needs: ['parseFilename'],
    run: async (bench) => {
      const { driver, filenames } = bench.fixture
      check((filenames?.length ?? 0) > 0, "the driver has 'parseFilename': the fixture must bring 'filenames'")
      for (const { filename, options } of filenames!) {
        const parsed = driver.parseFilename!(filename)
        const expected = parseOptions(driver.options, options)
        check(sorted(parseOptions(driver.options, parsed)) === sorted(expected), `parseFilename('${filename}') is ${JSON.stringify(parsed)}`)
        check(sorted(driver.parseFilename!(filename)) === sorted(parsed), 'parseFilename answers differently when asked again')
      }
    },
  },
  {
    name: 'protocol: the filename of an instance opens the same thing',
    needs: ['parseFilename'],
    run: async (bench) => {
      const { image, model } = await bench.filled()
      const opened = await bench.open(image, { readOnly: true })
      const { filename } = opened.instance
      await opened.close()
      if (filename === undefined) return
      const again = await bench.sessionOf(bench.fixture.driver.parseFilename!(filename), { readOnly: true }).open()
      if (bench.persistent) await model.checkAll(again, `opened by the filename '${filename}'`)
      await again.close()
    },
  },
  {
    name: 'protocol: prefixes are the part of a filename before a colon',
    needs: ['prefixes'],
    run: async ({ fixture: { driver } }) => {
      for (const prefix of driver.prefixes!) check(/^[a-z][a-z0-9+.-]*:$/.test(prefix), `'${prefix}' is no prefix: it ends with a colon`)
      check(driver.parseFilename !== undefined, 'prefixes are of no use without parseFilename')
    },
  },
  {
    name: 'protocol: probeDevice is pure, from 0 to 100',
    needs: ['probeDevice'],
    run: async ({ fixture: { driver } }) => {
      for (const name of ['disk.img', '/dev/null', '', 'nbd://host/x', 'C:\\disk']) {
        const score = driver.probeDevice!(name)
        check(Number.isInteger(score) && score >= 0 && score <= 100 && driver.probeDevice!(name) === score, `probeDevice('${name}') is ${score}`)
      }
    },
  },
  {
    name: 'protocol: what was created has its size, opens and keeps data',
    needs: ['creation'],
    run: async (bench) => {
      const { driver, fresh } = bench.fixture
      if (!fresh) throw failure("the driver has 'creation': the fixture must bring 'fresh'")
      const size = 1024 * 1024
      const { create, open } = await fresh(size)
      const context: CreateContext = {
        options: parseOptions(driver.creation!.options, create), clock: new VirtualClock(), signal: undefined, file: null,
        createFile: () => Promise.reject(failure('a protocol has no further files')),
        secret: () => Promise.reject(failure('a protocol that is created needs no secret here')), warn: () => {},
      }
      await bench.watch(driver.creation!.create(context as CreateContext<never>), 'create()')
      const opened = await bench.sessionOf(open).open()
      check(opened.size === size, `the created image has ${opened.size} bytes, expected ${size}`)
      if (opened.instance.zeroInit) {
        const bytes = await opened.read(0, size)
        check(bytes.every((byte) => byte === 0), 'an image with zeroInit does not read as zeroes')
      }
      if (opened.instance.writer) await opened.write(0, bench.random.bytes(opened.limits.requestAlignment))
      await opened.close()
    },
  },
  {
    name: 'protocol: permissions can be prepared, committed and aborted',
    needs: ['permissions'],
    run: async (bench) => {
      const { image } = await bench.filled()
      const opened = await bench.open(image)
      for (const [used, shared, end] of [[0x01, 0x0f, 'commit'], [0x03, 0x05, 'abort'], [0x03, 0x05, 'commit'], [0x00, 0x0f, 'commit']] as const) {
        const change = await opened.call('permissions.prepare()', () => opened.instance.permissions!.prepare(used, shared))
        await opened.call(`permissions: ${end}()`, async () => change[end]())
      }
      await opened.close()
    },
  },
]

function sorted(value: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
