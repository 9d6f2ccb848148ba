"""What Easel and its tests are made with: asked for in *.in, locked in *.txt, described in locked.json."""
