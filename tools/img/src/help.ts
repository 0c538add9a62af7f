import { allDrivers } from 'blockloom'
import type { Host } from './host.ts'
import { versionLines } from './version.ts'

const COMMANDS = [
  'amend [--object objectdef] [--image-opts] [-p] [--progress=style] [-q] [-f fmt] [-t cache] [--force] -o options filename',
  'bench [--image-opts] [-c count] [-d depth] [-f fmt] [--flush-interval=flush_interval] [-i aio] [--no-drain] [-o offset] [--pattern=pattern] [-q] [-s buffer_size] [-S step_size] [-t cache] [-w] [-U] filename',
  'bitmap (--merge source | --add | --remove | --clear | --enable | --disable)... [-b source_file [-F source_fmt]] [-g granularity] [--object objectdef] [--image-opts | -f fmt] filename bitmap',
  'check [--object objectdef] [--image-opts] [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-T src_cache] [-U] filename',
  'commit [--object objectdef] [--image-opts] [-q] [-f fmt] [-t cache] [-b base] [-r rate_limit] [-d] [-p] [--progress=style] filename',
  'compare [--object objectdef] [--image-opts] [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] [-s] [-U] filename1 filename2',
  'convert [--object objectdef] [--image-opts] [--target-image-opts] [--target-is-zero] [--bitmaps [--skip-broken-bitmaps]] [-U] [-c] [-p] [--progress=style] [-q] [-n] [-f fmt] [-t cache] [-T src_cache] [-O output_fmt] [-B backing_file [-F backing_fmt]] [-o options] [-l snapshot_param] [-S sparse_size] [-r rate_limit] [-m num_coroutines] [-W] [--salvage] filename [filename2 [...]] output_filename',
  'create [--object objectdef] [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]',
  'info [--object objectdef] [--image-opts] [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename',
  'map [--object objectdef] [--image-opts] [-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] filename',
  'measure [--output=ofmt] [-O output_fmt] [-o options] [--size N | [--object objectdef] [--image-opts] [-f fmt] [-l snapshot_param] [-U] filename]',
  'rebase [--object objectdef] [--image-opts] [-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] [--progress=style] [-u] [-c] -b backing_file [-F backing_fmt] filename',
  'resize [--object objectdef] [--image-opts] [-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size',
  'snapshot [--object objectdef] [--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename',
]

const PARAMETERS = `Command parameters:
  'filename' is a disk image filename, or with '--image-opts' a comma separated
    list of options such as 'driver=qcow2,file.filename=disk.qcow2'
  'fmt' is the disk image format. It is guessed automatically in most cases
  'cache' is the cache mode used to write the output disk image, the valid
    options are: 'none', 'writeback' (default, except for convert), 'writethrough',
    'directsync' and 'unsafe' (default for convert)
  'src_cache' is the cache mode used to read input disk images, the valid
    options are the same as for the 'cache' option
  'size' is the disk image size in bytes. Optional suffixes
    'k' or 'K' (kilobyte, 1024), 'M' (megabyte, 1024k), 'G' (gigabyte, 1024M),
    'T' (terabyte, 1024G) and 'P' (petabyte, 1024T) are supported. 'b' is ignored.
  'output_filename' is the destination disk image filename
  'output_fmt' is the destination format
  'options' is a comma separated list of format specific options in a
    name=value format. Use -o help for an overview of the options supported by
    the used format
  'snapshot_param' is param used for internal snapshot, format
    is 'snapshot.id=[ID],snapshot.name=[NAME]', or
    '[ID_OR_NAME]'
  'objectdef' is a secret that options of images name, such as
    'secret,id=sec0,file=passphrase.txt'; '--object secret,help' lists its
    properties
  '-c' indicates that target image must be compressed (qcow2 format only)
  '-u' allows to create an image without looking at its backing file
  '-h' with or without a command shows this help and lists the supported formats
  '-p' show progress of command (only certain commands): on a terminal a bar
       with speed and time left
  '--progress' takes the form of progress: text (as -p), json (one object a
       line) or none
  '-q' use Quiet mode - do not print any output (except errors)
  '-S' indicates the consecutive number of bytes (defaults to 4k) that must
       contain only zeros for a sparse image to be created during conversion.
       If the number of bytes is 0, the source will not be scanned for
       unallocated or zero sectors, and the destination image will always be
       fully allocated
  '--output' takes the format in which the output must be done (human or json)
  '-n' skips the target volume creation (useful if the volume is created
       beforehand)

Parameters to bitmap subcommand:
  'bitmap' is the name of the bitmap to manipulate, through one or more
       actions from '--add', '--remove', '--clear', '--enable', '--disable',
       or '--merge source'
  '-g granularity' sets the granularity for '--add' actions
  '-b source' and '-F src_fmt' tell '--merge' actions to find the source
       bitmaps from an alternative file

Parameters to check subcommand:
  '-r' tries to repair any inconsistencies that are found during the check.
       '-r leaks' repairs only cluster leaks, whereas '-r all' fixes all
       kinds of errors, with a higher risk of choosing the wrong fix or
       hiding corruption that has already occurred.

Parameters to convert subcommand:
  '--bitmaps' copies all top-level persistent bitmaps to destination
  '--skip-broken-bitmaps' leaves out those that are inconsistent
  '-m' specifies how many requests work in parallel during the convert
       process (defaults to 8)
  '-W' allow to write to the target out of order rather than sequential
  '--salvage' goes on where the source cannot be read, with zeroes

Parameters to commit subcommand:
  '-b' names the layer that is written to; it is the image's backing file if
       not given. Only then the image is emptied
  '-d' does not empty the image
  '-r' limits the rate, in bytes per second

Parameters to rebase subcommand:
  '-b' names the new backing file as the image will name it; '' for none
  '-F' its format
  '-u' changes the name only: the new backing file must read the same as the
       old one, which is not opened
  '-c' compresses what is copied into the image

Parameters to snapshot subcommand:
  'snapshot' is the name of the snapshot to create, apply or delete
  '-a' applies a snapshot (revert disk to saved state)
  '-c' creates a snapshot
  '-d' deletes a snapshot
  '-l' lists all snapshots in the given image

Parameters to compare subcommand:
  '-f' first image format
  '-F' second image format
  '-s' run in Strict mode - fail on different image size or sector allocation
`

/** `--help`: everything that works, and nothing else. @internal */
export function printHelp(host: Host): number {
  const formats = allDrivers.map(({ name }) => name).sort()
  host.out(
    `${versionLines(host.program)}usage: ${host.program} [standard options] command [command options]\nDisk image utility, a drop-in for qemu-img\n\n` +
      "    '-h', '--help'       display this help and exit\n    '-V', '--version'    output version information and exit\n\n" +
      `Command syntax:\n${COMMANDS.map((line) => `  ${line}\n`).join('')}\n${PARAMETERS}\nSupported formats: ${formats.join(' ')}\n`,
  )
  return 0
}
