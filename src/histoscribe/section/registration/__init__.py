"""One tissue onto another: found by outline and structure, or from landmarks, and kept with the section."""
