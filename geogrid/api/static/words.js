// Every text of the page, in both languages.

const WORDS = {
  zh: {
    language: "English",
    search: "搜索名称或编码",
    nothing: "没有找到",
    city: "市", county: "县(市、区)", township: "乡镇(街道)", village: "村(社区)",
    grid: "网格", microgrid: "微网格",
    households: "户数",
    householdsOf: "{level}户数",
    counts: "{grid} 个网格 · {microgrid} 个微网格",
    source: "影像:{source}",
    area: "面积",
    children: "下级单元",
    edge: "距边界",
    neighbour: "相邻微网格",
    onEdge: "点在边界上，归编码较小者",
    position: "位置",
    outside: "该点不在本市范围内",
    coverage: "覆盖情况",
    rate: "覆盖率",
    findings: "检查发现",
    checking: "正在检查…",
    edition: "版本",
    imagery: "影像底图",
    hint: "点击地图查看所在网格",
    failed: "服务没有响应：",
    noWebgl: "此浏览器不支持 WebGL，无法显示地图。",
  },
  en: {
    language: "中文",
    search: "Search name or code",
    nothing: "Nothing found",
    city: "City", county: "County", township: "Township", village: "Village",
    grid: "Grid", microgrid: "Micro-grid",
    households: "Households",
    householdsOf: "Households a {level}",
    counts: "{grid} grids · {microgrid} micro-grids",
    source: "Imagery: {source}",
    area: "Area",
    children: "Units below",
    edge: "To the edge",
    neighbour: "Neighbour",
    onEdge: "On the edge: belongs to the lower code",
    position: "Position",
    outside: "This point is outside the city",
    coverage: "Coverage",
    rate: "Coverage rate",
    findings: "Findings",
    checking: "Checking …",
    edition: "Edition",
    imagery: "Imagery",
    hint: "Click the map to find a grid",
    failed: "The service does not answer: ",
    noWebgl: "This browser has no WebGL, so there is no map.",
  },
};

let language = start();

export function current() {
  return language;
}

export function toggle() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("geogrid.language", language);
}

export function say(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function number(value, digits = 0) {
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

function start() {
  const chosen = localStorage.getItem("geogrid.language") || navigator.language;
  return chosen.toLowerCase().startsWith("zh") ? "zh" : "en";
}
