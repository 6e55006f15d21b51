// SPDX-License-Identifier: EUPL-1.2
// For pages that need nothing but ages that stay true.

import * as ages from "./ages.js";

ages.start();
document.documentElement.dataset.ready = "true";
