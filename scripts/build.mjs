// `npm run build`: installs and builds every package.
import { build, install } from './workspace.mjs'

try {
  await install()
  const { code, output } = await build()
  if (output !== '') console.log(output)
  process.exitCode = code
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
