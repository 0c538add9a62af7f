import { BlockError, defineDriver } from '@blockloom/block-driver'
import { nullImage } from './image.ts'
import { nullOptions } from './options.ts'

/** `null-co`: reads give zeroes, writes are dropped, at once or after a latency. @public */
export const nullCo = nullDriver('null-co')

/** `null-aio`: as {@link nullCo}; the reference completes its requests from the event loop, here both do. @public */
export const nullAio = nullDriver('null-aio')

function nullDriver<const N extends string>(name: N) {
  const url = `${name}://`
  return defineDriver({
    name,
    kind: 'protocol',
    summary: 'reads as zeroes, forgets what is written',
    options: nullOptions,
    prefixes: [`${name}:`],
    parseFilename: (filename) => {
      if (filename !== url) throw new BlockError('invalid', `The only allowed filename for this driver is '${url}'`, { detail: { filename } })
      return {}
    },
    open: async (context) => nullImage(name, context),
  })
}
