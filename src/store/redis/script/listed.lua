local held = redis.call('HMGET', KEYS[1], 'commit', 'lists')
if (held[1] or '0') ~= (held[2] or '0') then return false end
-- Since the first claim one element is always there: without it somebody deleted the others, too.
if held[1] and redis.call('ZCARD', KEYS[2]) == 0 then return false end
local found = {}
for i = 2, #ARGV, 2 do
  found[#found + 1] = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[i], ARGV[i + 1], 'LIMIT', 0, ARGV[1])
end
return found
