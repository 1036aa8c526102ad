/** The little of SVG that the plots need. Colours follow the reader's light or dark scheme. */

/** Attribute values are numbers or strings of ours; text is escaped. */
type Attributes = Readonly<Record<string, string | number>>;

export const WIDTH = 720;
const FONT_SIZE = 13;

/** Okabe and Ito's palette, told apart by colour-blind readers, on white and on black. */
const SERIES_COLOURS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#8c8c8c',
  '#a65628',
];

export function seriesColour(index: number): string {
  return SERIES_COLOURS[index % SERIES_COLOURS.length];
}

const STYLE = `
  text { font: ${FONT_SIZE}px system-ui, sans-serif; fill: #1f2328 }
  .paper { fill: #ffffff }
  .title { font-weight: 600; font-size: 15px }
  .axis { stroke: #1f2328; fill: none }
  .grid { stroke: #d1d9e0 }
  .whisker { stroke: #1f2328; fill: none }
  .muted { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .paper { fill: #0d1117 }
    .axis, .whisker { stroke: #e6edf3 }
    .grid { stroke: #30363d }
    .muted { fill: #9198a1 }
  }`;

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function element(name: string, attributes: Attributes, content = ''): string {
  const words = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escapeXml(attributeText(value))}"`,
  );
  return content === '' ? `<${name}${words.join('')}/>` : `<${name}${words.join('')}>${content}</${name}>`;
}

function attributeText(value: string | number): string {
  return typeof value === 'string' ? value : String(Math.round(value * 10) / 10);
}

export function text(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escapeXml(content));
}

export function line(x1: number, y1: number, x2: number, y2: number, className: string): string {
  return element('line', { x1, y1, x2, y2, class: className });
}

/** A whole drawing; `title` is also what a screen reader says. */
export function drawing(title: string, height: number, content: readonly string[]): string {
  const body = [
    element('title', {}, escapeXml(title)),
    element('style', {}, STYLE),
    element('rect', { width: WIDTH, height, class: 'paper' }),
    text(16, 26, title, { class: 'title' }),
    ...content,
  ];
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    viewBox: `0 0 ${WIDTH} ${height}`,
    width: WIDTH,
    height,
    role: 'img',
  };
  return `${element('svg', attributes, `\n${body.join('\n')}\n`)}\n`;
}

/** Coloured squares with names, in rows from (x, y) downwards; returns the drawing and its height. */
export function legend(
  names: readonly string[],
  x: number,
  y: number,
): { content: string[]; height: number } {
  const content: string[] = [];
  const row = 20;
  let left = x;
  let top = y;
  for (const [index, name] of names.entries()) {
    const width = 30 + name.length * 7.5;
    if (left + width > WIDTH - 16 && left > x) {
      left = x;
      top += row;
    }
    content.push(element('rect', { x: left, y: top - 10, width: 12, height: 12, fill: seriesColour(index) }));
    content.push(text(left + 18, top, name));
    left += width;
  }
  return { content, height: top - y + row };
}
