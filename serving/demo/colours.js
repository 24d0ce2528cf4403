/** The colours that answers are drawn with, those of `nas-tf predict`. */

const INFERNO =
  "fcfea4fafda0f9fc9df7fb99f6fa95f5f891f4f78df3f689f2f485f2f381f1f27df1f079f1ee74f1ed70f1eb6c" +
  "f1e968f1e864f2e660f2e45df3e259f3e056f3de52f4dc4ff4db4bf5d948f5d745f6d542f6d33ff7d13cf7cf3a" +
  "f8cd37f8cb34f8c931f9c72ff9c52cf9c32afac128fabf25fabd23fabb21fbb91efbb71cfbb51afbb318fbb116" +
  "fbb014fbae12fbac10fbaa0efba80dfba60bfba40afba208fba007fb9e07fb9d06fb9b06fb9906fa9706fa9506" +
  "fa9306fa9107f99008f98e08f98c09f88a0bf8880cf8870df7850ef78310f68111f68012f57e14f57c15f47a16" +
  "f37918f37719f2751af2741cf1721df0701ef06f1fef6d21ee6c22ed6a23ed6825ec6726eb6527ea6428e9622a" +
  "e8612be75f2ce65e2de65c2ee55b30e45a31e35832e25733e05634df5436de5337dd5238dc5039db4f3ada4e3b" +
  "d94d3dd74b3ed64a3fd54940d44841d24742d14643d04544cf4446cd4247cc4148cb4049c93f4ac83e4bc73e4c" +
  "c53d4dc43c4ec23b4fc13a50bf3951be3852bd3753bb3754ba3655b83556b73456b53357b43358b23259b1315a" +
  "af315bae305bac2f5cab2e5da92e5ea72d5fa62c5fa42c60a32b61a12b61a02a629e29639c29639b2864992864" +
  "9827659626669526669325679125679024688e24688d23698b226989226988216a86216a85206a83206b811f6b" +
  "801f6b7e1e6c7d1d6c7b1d6c7a1c6d781c6d761b6d751b6d731a6d72196d70196e6e186e6d186e6b176e6a176e" +
  "68166e66156e65156e63146e62146e60136e5f126e5d126e5b116e5a116d58106d570f6d550f6d530e6d520e6c" +
  "500d6c4f0d6c4d0c6b4b0c6b4a0b6a480b6a460a69450a69430a684109674009663e09663c09653b0964390962" +
  "37096135096034095f32095d300a5c2e0a5a2d0a582b0a56290b54270b52260b50240b4e220b4c200c4a1f0c47" +
  "1d0c451c0c431a0b40190b3e170b3b160b39140b36130a34120a3210092f0f092d0e082a0d08280b07260a0723" +
  "09062108061f07051d06041b05041804031604031403021202021002010e01010b010109010007000006000004" +
  "000003";
const HSV =
  "ff0000ff0500ff0b00ff1100ff1700ff1d00ff2300ff2900ff2f00ff3500ff3b00ff4000ff4600ff4c00ff5200" +
  "ff5800ff5e00ff6400ff6a00ff7000ff7600ff7c00ff8100ff8700ff8d00ff9300ff9900ff9f00ffa500ffab00" +
  "ffb100ffb700ffbd00ffc200ffc800ffce00ffd400ffda00ffe000ffe600ffec00fdf100fbf500faf900f8fc00" +
  "f4ff00eeff00e8ff00e2ff00dcff00d6ff00d0ff00caff00c4ff00bfff00b9ff00b3ff00adff00a7ff00a1ff00" +
  "9bff0095ff008fff0089ff0083ff007eff0078ff0072ff006cff0066ff0060ff005aff0054ff004eff0048ff00" +
  "43ff003dff0037ff0031ff002bff0025ff001fff0019ff0013ff000dff0007ff0005ff0304ff0702ff0b00ff0f" +
  "00ff1500ff1b00ff2100ff2700ff2d00ff3300ff3900ff3e00ff4400ff4a00ff5000ff5600ff5c00ff6200ff68" +
  "00ff6e00ff7400ff7900ff7f00ff8500ff8b00ff9100ff9700ff9d00ffa300ffa900ffaf00ffb500ffba00ffc0" +
  "00ffc600ffcc00ffd200ffd800ffde00ffe400ffea00fff000fff500fffb00fcff00f6ff00f0ff00eaff00e4ff" +
  "00deff00d8ff00d2ff00ccff00c7ff00c1ff00bbff00b5ff00afff00a9ff00a3ff009dff0097ff0091ff008bff" +
  "0086ff0080ff007aff0074ff006eff0068ff0062ff005cff0056ff0050ff004bff0045ff003fff0039ff0033ff" +
  "002dff0027ff0021ff001bff0015ff000fff010cff0308ff0504ff0700ff0d00ff1300ff1900ff1f00ff2500ff" +
  "2b00ff3100ff3600ff3c00ff4200ff4800ff4e00ff5400ff5a00ff6000ff6600ff6c00ff7100ff7700ff7d00ff" +
  "8300ff8900ff8f00ff9500ff9b00ffa100ffa700ffad00ffb200ffb800ffbe00ffc400ffca00ffd000ffd600ff" +
  "dc00ffe200ffe800ffee00fff300fff700fdf900f9fb00f5fd00f1ff00ecff00e6ff00e0ff00daff00d4ff00cf" +
  "ff00c9ff00c3ff00bdff00b7ff00b1ff00abff00a5ff009fff0099ff0093ff008eff0088ff0082ff007cff0076" +
  "ff0070ff006aff0064ff005eff0058ff0052ff004dff0047ff0041ff003bff0035ff002fff0029ff0023ff001d" +
  "ff0017";
const TAB20 =
  "1f77b4aec7e8ff7f0effbb782ca02c98df8ad62728ff98969467bdc5b0d58c564bc49c94e377c2f7b6d27f7f7f" +
  "c7c7c7bcbd22dbdb8d17becf9edae5";

/** Colours from far to near, as matplotlib's inferno_r. */
export const DEPTHS = decoded(INFERNO);
const HUES = decoded(HSV);
const CLASSES = decoded(TAB20);

/**
 * Returns the colours of classes: those of the metadata, else defaults that repeat after twenty.
 * @param {number[][] | undefined} given
 * @param {number} count
 * @returns {number[][]}
 */
export function classColours(given, count) {
  if (Array.isArray(given) && given.length === count) return given;
  return Array.from({ length: count }, (_, n) => CLASSES[n % CLASSES.length]);
}

/**
 * Returns the colour of a joint among several.
 * @param {number} joint
 * @param {number} count
 * @returns {number[]}
 */
export function jointColour(joint, count) {
  return HUES[Math.floor((joint / count) * HUES.length)];
}

/**
 * Returns a colour as CSS writes it.
 * @param {number[]} colour
 * @returns {string}
 */
export function css([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}

/**
 * Returns colours as the 32 bits of opaque pixels.
 * @param {number[][]} colours
 * @returns {Uint32Array}
 */
export function pixels(colours) {
  return new Uint32Array(new Uint8Array(colours.flatMap((colour) => [...colour, 255])).buffer);
}

/** Returns the colours that a text of hexadecimal digits lists. */
function decoded(text) {
  const channel = (place) => parseInt(text.slice(place, place + 2), 16);
  return Array.from({ length: text.length / 6 }, (_, n) =>
    [0, 2, 4].map((offset) => channel(6 * n + offset)),
  );
}
