// Numbers of charts: as jobs/presentation/series_table.py writes them.
import { number } from "../format.js";

const LEAST_WITHOUT_EXPONENT = 0.0001;

/** A value with the digits that tell it from its neighbours. @param {number} value */
export function shortNumber(value) {
  if (Number.isInteger(value)) {
    return number(value);
  }
  const rounded = Number(value.toPrecision(5));
  return Math.abs(rounded) < LEAST_WITHOUT_EXPONENT ? rounded.toExponential().replace(/e-(\d)$/, "e-0$1") : String(rounded);
}
