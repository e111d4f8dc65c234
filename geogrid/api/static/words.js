// Every text of the page, in both languages.

const WORDS = {
  zh: {
    language: "English", skip: "跳到搜索", close: "关闭", cancel: "取消", open: "打开", print: "打印",
    search: "搜索名称或编码", nothing: "没有找到", nFound: "找到 {n} 个单元",
    city: "市", county: "县(市、区)", township: "乡镇(街道)", village: "村(社区)",
    grid: "网格", microgrid: "微网格",
    panels: "面板", layers: "图层", coordinates: "坐标", coverage: "检查", incidents: "事件",
    counts: "{grid} 个网格 · {microgrid} 个微网格", edition: "版本", source: "影像：{source}",
    units: "单元", show: "显示", colour: "着色与点击", auto: "自动", autoHint: "随比例尺变化",
    labels: "名称", from: "{zoom} 级起", below: "底图", imagery: "影像", basemap: "天地图",
    none: "无", drawn: "矢量", photo: "影像", opacity: "不透明度", colours: "颜色",
    noImagery: "服务未提供影像", noBasemap: "服务未配置底图",
    basemapFailed: "天地图瓦片无法加载：",
    households: "户数", householdsOf: "{level}户数", area: "面积", children: "下级单元",
    urban: "城市社区", rural: "农村", dedicated: "专属网格",
    edge: "距边界", neighbour: "界外相邻", onEdge: "点在边界上，归编码较小者", position: "位置",
    neighbours: "相邻单元", shared: "共用边界长度", outer: "外边界 {m}",
    outside: "该点不在本市范围内",
    copy: "复制编码", copyDashed: "复制分段编码", copied: "已复制 {code}", copyFailed: "浏览器不允许复制，请手动选取",
    pointHint: "输入一个经纬度，并说明其坐标系。坐标系看不出来，选错会落到几百米外。",
    pointLabel: "经度, 纬度", datum: "坐标系", locate: "查询",
    cgcs2000: "2000 国家大地坐标系", wgs84: "WGS 84 (GPS)", gcj02: "GCJ-02 火星坐标 (高德、腾讯)", bd09: "BD-09 百度坐标",
    datumMissing: "请选择坐标系", notPair: "不是一对坐标，例如 114.6497, 33.6204",
    swapped: "纬度似乎写在了经度之前。", swap: "换成 {lon}, {lat} 查询", here: "取地图中心",
    rate: "覆盖率", checking: "正在检查…", rateOf: "各级覆盖率",
    allClear: "没有发现问题", allClearText: "各级单元无缝隙、无重叠，逐级嵌套一致。",
    error: "错误", warning: "警告", note: "提示", all: "全部", showFindings: "在地图上显示",
    noneMatch: "所选级别没有问题", more: "再显示 {n} 条", wide: "宽 {m}", comma: "、", noPlace: "无位置",
    excused: "已登记", checkFailed: "检查未能完成：",
    incidentsHint: "服务启动时未指定事件表。请用 geogrid serve --incidents 指定 geogrid locate 输出的表。",
    level: "统计级别", dates: "日期", first: "起始日期", last: "结束日期", wholeSpan: "全部", days: "近 {n} 天",
    measure: "指标", count: "事件数", rateMeasure: "每千户事件数", method: "分级方法",
    quantile: "分位数 (80/90/95/99%)", natural: "自然断点", absolute: "给定阈值", least: "最少事件数",
    leastHint: "少于此数不预警、不显示数值", category: "事项类别", allCategories: "全部类别",
    warnings: "预警", red: "红色", orange: "橙色", yellow: "黄色", blue: "蓝色", noWarning: "无预警", no_data: "无数据",
    reached: "≥ {n}", noUnits: "无此级", total: "事件 {n} 条", unplaced: "未落格 {n} 条",
    hot: "预警单元", fewer: "少于 {n}", zoomIn: "放大后可见{level}", zoomTo: "放大", zoomOut: "缩小", showIncidents: "以预警色显示",
    noneWarned: "没有达到阈值的单元", perThousand: "每千户", perWeek: "每周事件数",
    gone: "服务没有响应，请检查网络或服务是否在运行。", back: "服务已恢复", failed: "查询失败：",
    tileFailed: "部分瓦片无法加载，请稍后重试。", newEdition: "网格已更新为新版本 {id}，地图已刷新。",
    unitGone: "新版本中没有单元 {code}", noWebgl: "此浏览器不支持 WebGL，无法显示地图；查询仍可使用。",
    keyAsked: "此服务需要访问密钥", printed: "打印于 {day}", map: "地图，方向键移动，回车查询中心点",
  },
  en: {
    language: "中文", skip: "Skip to search", close: "Close", cancel: "Cancel", open: "Open", print: "Print",
    search: "Search name or code", nothing: "Nothing found", nFound: "{n} units found",
    city: "City", county: "County", township: "Township", village: "Village",
    grid: "Grid", microgrid: "Micro-grid",
    panels: "Panels", layers: "Layers", coordinates: "Position", coverage: "Check", incidents: "Incidents",
    counts: "{grid} grids · {microgrid} micro-grids", edition: "Edition", source: "Imagery: {source}",
    units: "Units", show: "Show", colour: "Colour and click", auto: "Automatic", autoHint: "by scale",
    labels: "Names", from: "from zoom {zoom}", below: "Below the units", imagery: "Imagery", basemap: "Tianditu",
    none: "None", drawn: "Map", photo: "Imagery", opacity: "Opacity", colours: "Colours",
    noImagery: "No imagery is served", noBasemap: "No basemap is configured",
    basemapFailed: "Tiles of Tianditu do not load: ",
    households: "Households", householdsOf: "Households a {level}", area: "Area", children: "Units below",
    urban: "urban", rural: "rural", dedicated: "dedicated",
    edge: "To the edge", neighbour: "Beyond it", onEdge: "On the edge: belongs to the lower code", position: "Position",
    neighbours: "Neighbours", shared: "border shared", outer: "outer border {m}",
    outside: "This point is outside the city",
    copy: "Copy code", copyDashed: "Copy with dashes", copied: "Copied {code}", copyFailed: "The browser does not allow copying; select the code instead",
    pointHint: "Give one longitude and latitude, and say their datum. It cannot be seen from the numbers; the wrong one is hundreds of metres off.",
    pointLabel: "Longitude, latitude", datum: "Datum", locate: "Look up",
    cgcs2000: "CGCS2000", wgs84: "WGS 84 (GPS)", gcj02: "GCJ-02 (Amap, Tencent)", bd09: "BD-09 (Baidu)",
    datumMissing: "Choose a datum", notPair: "This is no pair of coordinates, such as 114.6497, 33.6204",
    swapped: "Latitude seems to stand before longitude.", swap: "Look up {lon}, {lat}", here: "Take the map's centre",
    rate: "Coverage rate", checking: "Checking …", rateOf: "Coverage rate by level",
    allClear: "Nothing found", allClearText: "No gap and no overlap on any level, and every level fits the one above.",
    error: "Errors", warning: "Warnings", note: "Notes", all: "All", showFindings: "Show on the map",
    noneMatch: "No findings of this kind", more: "Show {n} more", wide: "{m} wide", comma: ", ", noPlace: "no place",
    excused: "Known", checkFailed: "The check did not end: ",
    incidentsHint: "The service was started without incidents. Give it a table from geogrid locate: geogrid serve --incidents FILE.",
    level: "Level", dates: "Dates", first: "First day", last: "Last day", wholeSpan: "All", days: "Last {n} days",
    measure: "Measure", count: "Incidents", rateMeasure: "Incidents per 1,000 households", method: "Thresholds",
    quantile: "Quantiles (80/90/95/99 %)", natural: "Natural breaks", absolute: "Given values", least: "Least number",
    leastHint: "fewer give no warning and are not told", category: "Category", allCategories: "All categories",
    warnings: "Warnings", red: "Red", orange: "Orange", yellow: "Yellow", blue: "Blue", noWarning: "No warning", no_data: "No data",
    reached: "≥ {n}", noUnits: "none", total: "{n} incidents", unplaced: "{n} not placed",
    hot: "Units with a warning", fewer: "fewer than {n}", zoomIn: "Zoom in to see the level: {level}", zoomTo: "Zoom in", zoomOut: "Zoom out", showIncidents: "Colour by warning",
    noneWarned: "No unit reaches the thresholds", perThousand: "per 1,000 households", perWeek: "Incidents a week",
    gone: "The service does not answer. Check the network, and whether it still runs.", back: "The service is back", failed: "This did not work: ",
    tileFailed: "Some tiles do not load; try again later.", newEdition: "There is a new edition, {id}; the map shows it now.",
    unitGone: "The new edition has no unit {code}", noWebgl: "This browser has no WebGL, so there is no map; look-ups still work.",
    keyAsked: "This service needs a key", printed: "Printed on {day}", map: "Map; arrow keys move it, Enter looks up its centre",
  },
};

const KEPT = "geogrid.language";
let language = "zh";

// What the address says, else what was chosen before, else the language of the browser.
export function begin(asked) {
  const chosen = [asked, stored(), navigator.language].find((each) => each) || "zh";
  language = chosen.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function current() {
  return language;
}

export function toggle() {
  language = language === "zh" ? "en" : "zh";
  try {
    localStorage.setItem(KEPT, language);
  } catch (error) { /* a browser that keeps nothing asks again */ }
}

export function say(key, values = {}) {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function number(value, digits = 0) {
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

export function metres(value) {
  if (value >= 10_000) return `${number(value / 1000, 1)} km`;
  return `${number(value, value < 10 ? 2 : 0)} m`;
}

export function area(value) {
  if (value >= 1e5) return `${number(value / 1e6, 2)} km²`;
  return value < 1 ? `${Number(value.toPrecision(3))} m²` : `${number(value)} m²`;
}

// Never rounded up: 99.9999 % is not full coverage.
export function percent(rate) {
  if (rate >= 1) return "100 %";
  const digits = Math.min(12, Math.max(4, Math.ceil(-Math.log10(1 - rate)) - 1));
  return `${(Math.floor(rate * 100 * 10 ** digits) / 10 ** digits).toFixed(digits)} %`;
}

export function dashed(code) {
  return [code.slice(0, 12), code.slice(12, 15), code.slice(15)].filter(Boolean).join("-");
}

function stored() {
  try {
    return localStorage.getItem(KEPT);
  } catch (error) {
    return null;
  }
}
