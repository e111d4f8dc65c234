// What the page says, in Chinese and English.

const TEXTS = {
  zh: {
    other: "EN",
    subtitle: (edition) => `网格与微网格 · 版本 ${edition.created}`,
    search: "搜索代码或名称",
    nothing: "没有找到",
    levels: { city: "市", county: "县(市、区)", township: "乡镇(街道)", village: "村(社区)", grid: "网格", microgrid: "微网格" },
    many: { county: "县(市、区)", township: "乡镇(街道)", village: "村(社区)", grid: "网格", microgrid: "微网格" },
    coverage: "覆盖率",
    checking: "正在检查…",
    clean: "无缝隙、无重叠、无嵌套错误",
    findings: (n) => `发现 ${n} 处问题`,
    legend: (level) => `每个${level}的户数`,
    imagery: "影像",
    outside: "此处在市域之外",
    edge: (m) => `距边界 ${m} 米`,
    onEdge: "正好在边界上，归代码较小的微网格",
    neighbour: (code) => `边界另一侧：${code}`,
    cityEdge: "边界另一侧：市域之外",
    households: (n) => `${n} 户`,
    copy: "复制代码",
    copied: "已复制",
    close: "关闭",
    datum: "坐标系 CGCS2000",
    hint: "点击地图，查询所在网格",
    docs: "接口文档",
    noWebgl: "此浏览器不支持 WebGL，无法显示地图；搜索和接口仍可使用。",
    failed: "请求失败，请检查服务是否在运行。",
  },
  en: {
    other: "中文",
    subtitle: (edition) => `Grids and micro-grids · edition ${edition.created}`,
    search: "Search code or name",
    nothing: "Nothing found",
    levels: { city: "city", county: "county", township: "township", village: "village", grid: "grid", microgrid: "micro-grid" },
    many: { county: "counties", township: "townships", village: "villages", grid: "grids", microgrid: "micro-grids" },
    coverage: "Coverage",
    checking: "checking…",
    clean: "No gap, overlap or nesting fault",
    findings: (n) => `${n} ${n === 1 ? "finding" : "findings"}`,
    legend: (level) => `Households per ${level}`,
    imagery: "Imagery",
    outside: "Outside the city",
    edge: (m) => `${m} m from the edge`,
    onEdge: "Exactly on an edge: belongs to the lower code",
    neighbour: (code) => `Beyond the edge: ${code}`,
    cityEdge: "Beyond the edge: outside the city",
    households: (n) => `${n} households`,
    copy: "Copy code",
    copied: "Copied",
    close: "Close",
    datum: "datum CGCS2000",
    hint: "Click the map to find a grid",
    docs: "API docs",
    noWebgl: "This browser has no WebGL, so there is no map; search and API still work.",
    failed: "The request failed. Is the service running?",
  },
};

const KEY = "geogrid.lang";

export let lang = localStorage.getItem(KEY) ?? (navigator.language.startsWith("zh") ? "zh" : "en");

export const text = () => TEXTS[lang];

export function switchLanguage() {
  lang = lang === "zh" ? "en" : "zh";
  localStorage.setItem(KEY, lang);
}

export const number = (value) => value.toLocaleString("en");

export function area(squareMetres) {
  if (squareMetres >= 1e6) return `${number(+(squareMetres / 1e6).toFixed(2))} km²`;
  return squareMetres >= 1e4 ? `${(squareMetres / 1e4).toFixed(1)} ha` : `${number(Math.round(squareMetres))} m²`;
}

/** 99.9999 % must not read as 100 %. */
export function percent(share) {
  if (share === 1) return "100 %";
  return `${(Math.floor(share * 1e6) / 1e4).toFixed(4)} %`;
}
