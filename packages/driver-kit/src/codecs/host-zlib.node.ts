import type zlib from 'node:zlib'

let loaded: typeof zlib | undefined

/** Node's zlib, loaded when the first cluster needs it: most programs that open an image never do. @internal */
export function hostZlib(): typeof zlib {
  return (loaded ??= process.getBuiltinModule('node:zlib'))
}
