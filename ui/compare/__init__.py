"""Controls of Compare: what a visitor chooses, clicks and starts; all words come from `report`."""
