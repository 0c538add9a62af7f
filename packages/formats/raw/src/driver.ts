import { ChildRole, defineDriver } from '@blockloom/block-driver'
import { createRaw, measureRaw } from './create.ts'
import { rawImage } from './image.ts'
import { rawCreateOptions, rawOptions } from './options.ts'
import { windowOf } from './window.ts'

/** The format `raw`: the bytes of a file are the disk, or a window of them is. @public */
export const raw = defineDriver({
  name: 'raw',
  kind: 'format',
  summary: 'the bytes of the file are the disk',
  options: rawOptions,
  children: { file: { doc: 'The node that holds the bytes', presence: 'required' } },
  // Anything can be a raw image: every other format is asked first.
  probe: () => 1,
  open: async ({ options, mode, child }) => {
    // Without a window it behaves as a filter does; with one, its child holds more than what is shown.
    const whole = options.offset === 0 && options.size === undefined
    const file = await child('file', { role: ChildRole.PRIMARY | (whole ? ChildRole.FILTERED : ChildRole.DATA) })
    return rawImage(file, await windowOf(file, options), mode.readOnly)
  },
  creation: { options: rawCreateOptions, create: createRaw, measure: measureRaw },
})
