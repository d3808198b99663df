-- Which layouts there are, without their series: each pack is held against it, and those of a thousand nodes fill a few pages here.
CREATE INDEX layout_name ON layout (node, layout);
