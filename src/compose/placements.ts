import {
  createPricedPlacement,
  createReadFastPlacement,
  createReferencePlacement,
  createStoreLeastPlacement,
  type PlacementPolicy,
} from '../dedup/index.js';
import type { PlacementName } from './client-types.js';

/** The placement policies by name. */
export const PLACEMENTS: Readonly<Record<PlacementName, () => PlacementPolicy>> = {
  balanced: createPricedPlacement,
  'store-least': createStoreLeastPlacement,
  'read-fast': createReadFastPlacement,
  reference: createReferencePlacement,
};
