"""Drawing the fake fal's pictures: from the words of a prompt to a scene, its background, figures and weather."""
