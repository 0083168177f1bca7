/** The fixture's film: a yard by a road, drawn as SVG; each mover is a pure function of time. */
export const FILM = { widthPx: 640, heightPx: 360, framesPerSecond: 15, seconds: 12 } as const

/** A place on a path at a time; between two of them a mover goes at an even speed. */
type Waypoint = readonly [seconds: number, x: number, y: number]

/** Outside of its waypoints' time a mover is not there. Two equal places in a row are a rest. */
const PATHS = {
  van: [
    [1.0, -130, 262],
    [2.8, 236, 262],
    [4.4, 236, 262],
    [6.4, 660, 262],
  ],
  walker: [
    [3.2, 662, 214],
    [6.6, 372, 214],
    [8.0, 372, 214],
    [10.4, 668, 214],
  ],
  dog: [
    [7.2, 664, 334],
    [10.2, -50, 322],
  ],
} as const satisfies Record<string, readonly Waypoint[]>

/** What stands still, drawn once. */
export function drawYard(): string {
  const { widthPx, heightPx } = FILM
  return svg(`
    <defs>
      <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
        <stop offset="0" stop-color="#86b4d8"/><stop offset="1" stop-color="#dbe9f1"/>
      </linearGradient>
      <pattern id="bricks" width="24" height="16" patternUnits="userSpaceOnUse">
        <rect width="24" height="16" fill="#b98a6c"/>
        <path d="M0 .5H24M0 8.5H24M6.5 0V8M18.5 8V16" stroke="#a3755a" stroke-width="1"/>
      </pattern>
      <filter id="grain" x="0" y="0" width="1" height="1">
        <feTurbulence type="fractalNoise" baseFrequency="0.09 0.16" numOctaves="3" seed="7"/>
        <feColorMatrix values="0 0 0 0 0  0 0 0 0 0  0 0 0 0 0  0.9 0 0 0 -0.28"/>
        <feComposite in2="SourceGraphic" operator="in"/>
      </filter>
    </defs>
    <rect width="${widthPx}" height="${heightPx}" fill="url(#sky)"/>
    <ellipse cx="470" cy="178" rx="330" ry="64" fill="#93a98b"/>
    <ellipse cx="90" cy="184" rx="240" ry="58" fill="#7f9a7c"/>
    <rect y="168" width="${widthPx}" height="192" fill="#7fa05a"/>
    <rect y="168" width="${widthPx}" height="192" fill="#55763c" filter="url(#grain)"/>
    ${fence()}
    ${house()}
    ${tree(112, 176, 46)}${tree(588, 170, 34)}
    <rect y="206" width="${widthPx}" height="26" fill="#c3bdb0"/>
    <path d="M0 206.5H640M0 231.5H640" stroke="#a59f92"/>
    ${repeat(20, (i) => `<path d="M${i * 32 + 8} 207V231" stroke="#b2ac9f"/>`)}
    <rect y="232" width="${widthPx}" height="72" fill="#6f7276"/>
    <rect y="232" width="${widthPx}" height="72" fill="#4e5155" filter="url(#grain)" opacity=".45"/>
    ${repeat(9, (i) => `<rect x="${i * 76 + 12}" y="266" width="40" height="3" fill="#e3ded0"/>`)}
    <path d="M0 304.5H640" stroke="#d5d0c3" stroke-width="3"/>
  `)
}

/** What moves at `seconds`, on a transparent ground; empty when nothing is there. */
export function drawMovers(seconds: number): string | null {
  const [van, walker, dog] = [PATHS.van, PATHS.walker, PATHS.dog].map((path) => at(path, seconds))
  const parts = [
    walker ? drawWalker(walker) : '',
    van ? drawVan(van) : '',
    dog ? drawDog(dog) : '',
  ].join('')
  return parts === '' ? null : svg(parts)
}

type Place = {
  readonly x: number
  readonly y: number
  readonly moving: boolean
  readonly phase: number
}

function at(path: readonly Waypoint[], seconds: number): Place | null {
  const next = path.findIndex(([time]) => time > seconds)
  if (next <= 0) return null
  const [fromTime, fromX, fromY] = path[next - 1]!
  const [toTime, toX, toY] = path[next]!
  const part = (seconds - fromTime) / (toTime - fromTime)
  const moving = fromX !== toX || fromY !== toY
  return {
    x: fromX + (toX - fromX) * part,
    y: fromY + (toY - fromY) * part,
    moving,
    phase: moving ? seconds : 0,
  }
}

/** x, y: its lower left corner on the road. */
function drawVan({ x, y, moving, phase }: Place): string {
  const lamp = moving ? '#7a1f1c' : '#ff4a3a'
  const spoke = phase * 12
  const wheel = (cx: number) => `
    <circle cx="${cx}" cy="24" r="13" fill="#22252a"/><circle cx="${cx}" cy="24" r="6" fill="#b9bec4"/>
    <path d="M${cx} 24l${5 * Math.cos(spoke)} ${5 * Math.sin(spoke)}" stroke="#555" stroke-width="2"/>`
  return `<g transform="translate(${x} ${y})">
    <ellipse cx="62" cy="37" rx="66" ry="5" fill="#000" opacity=".28"/>
    <path d="M2 -34Q2 -42 10 -42H84Q92 -42 97 -34L110 -12Q122 -10 123 0V20Q123 24 118 24H6Q2 24 2 20Z"
      fill="#2f66b3"/>
    <path d="M2 2H122V8H2Z" fill="#f3f1ea"/>
    <path d="M82 -36H88Q91 -36 94 -30L103 -12H82Z" fill="#cfe3ee"/>
    <rect x="52" y="-36" width="24" height="24" rx="2" fill="#bcd5e4"/>
    <rect x="0" y="6" width="5" height="9" fill="${lamp}"/><rect x="118" y="6" width="6" height="8" fill="#ffe9a8"/>
    ${wheel(28)}${wheel(98)}
  </g>`
}

/** x, y: between its feet. */
function drawWalker({ x, y, moving, phase }: Place): string {
  const swing = moving ? 11 * Math.sin(phase * 8) : 3
  return `<g transform="translate(${x} ${y})">
    <ellipse cx="0" cy="9" rx="17" ry="3.5" fill="#000" opacity=".3"/>
    <path d="M-2 -24L${-swing} 8M2 -24L${swing} 8" stroke="#2b3350" stroke-width="8" stroke-linecap="round"/>
    <rect x="-12" y="-60" width="24" height="40" rx="9" fill="#c8322d"/>
    <path d="M-8 -54L${swing * 0.9 - 6} -26M8 -54L${6 - swing * 0.9} -26" stroke="#a32723" stroke-width="6.5"
      stroke-linecap="round"/>
    <circle cx="0" cy="-70" r="10" fill="#e2b48f"/><path d="M-10 -72a10 10 0 0 1 20 0z" fill="#4a3222"/>
  </g>`
}

/** x, y: under its belly. */
function drawDog({ x, y, phase }: Place): string {
  const swing = 6 * Math.sin(phase * 13)
  const leg = (from: number, by: number) => `<path d="M${from} -12l${by} 14"/>`
  return `<g transform="translate(${x} ${y})">
    <ellipse cx="0" cy="3" rx="26" ry="3.5" fill="#000" opacity=".25"/>
    <g stroke="#5b3d22" stroke-width="5" stroke-linecap="round">
      ${leg(-15, swing)}${leg(-11, -swing)}${leg(13, -swing)}${leg(17, swing)}
    </g>
    <rect x="-20" y="-26" width="42" height="17" rx="8" fill="#7a5230"/>
    <path d="M20 -22q10 -4 9 -13" stroke="#7a5230" stroke-width="4.5" fill="none" stroke-linecap="round"/>
    <ellipse cx="-23" cy="-28" rx="10" ry="8" fill="#7a5230"/><path d="M-22 -34l5 11 4 -9z" fill="#4d3119"/>
    <circle cx="-32" cy="-27" r="2.4" fill="#2b1b0e"/>
  </g>`
}

function house(): string {
  const window = (x: number) =>
    `<rect x="${x}" y="112" width="44" height="38" fill="#f0ece2"/>
     <rect x="${x + 4}" y="116" width="17" height="30" fill="#5f7d92"/>
     <rect x="${x + 23}" y="116" width="17" height="30" fill="#6b899e"/>`
  return `
    <rect x="236" y="86" width="244" height="120" fill="url(#bricks)"/>
    <path d="M220 90L268 34H448L496 90Z" fill="#6a4a45"/>
    <path d="M232 76H484M245 62H471M257 48H459" stroke="#5c3f3b" stroke-width="2"/>
    ${window(256)}${window(416)}
    <rect x="350" y="124" width="42" height="82" fill="#efe9dc"/>
    <rect x="354" y="128" width="34" height="78" fill="#3f5d50"/><circle cx="382" cy="170" r="2.5" fill="#d9c27a"/>`
}

function fence(): string {
  const rail = 'M0 180H236M480 180H640M0 194H236M480 194H640'
  return `<path d="${rail}" stroke="#d8d2c4" stroke-width="4"/>${repeat(41, (i) => {
    const x = i * 16 + 2
    return x > 228 && x < 480 ? '' : `<rect x="${x}" y="170" width="7" height="34" fill="#e4dfd2"/>`
  })}`
}

function tree(x: number, y: number, radius: number): string {
  return `<rect x="${x - 5}" y="${y - 30}" width="10" height="58" fill="#6d5138"/>
    <circle cx="${x}" cy="${y - 62}" r="${radius}" fill="#4f7a45"/>
    <circle cx="${x - radius * 0.6}" cy="${y - 42}" r="${radius * 0.62}" fill="#57844c"/>
    <circle cx="${x + radius * 0.6}" cy="${y - 46}" r="${radius * 0.6}" fill="#47703e"/>`
}

function repeat(count: number, draw: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => draw(i)).join('')
}

function svg(content: string): string {
  const { widthPx, heightPx } = FILM
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${widthPx}" height="${heightPx}">${content}</svg>`
}
