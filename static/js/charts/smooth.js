// A curve without its noise.

// How much of a smoothed value is what came before it, for a thousand points; with fewer points less is smoothed.
const WEIGHT = 0.95;

/** An exponential moving average that does not begin at zero. @param {(number | null)[]} values */
export function smoothed(values) {
  const weight = Math.min(WEIGHT, 1 - 1 / Math.max(Math.sqrt(values.length), 1));
  let average = 0;
  let certainty = 0;
  return values.map((value) => {
    if (value === null) {
      return null;
    }
    average = average * weight + value * (1 - weight);
    certainty = certainty * weight + (1 - weight);
    return average / certainty;
  });
}
