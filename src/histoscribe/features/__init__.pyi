from .builtin.encoder import BuiltinEncoder as BuiltinEncoder
from .encoder import TileEncoder as TileEncoder
from .encoding import describe_tiles as describe_tiles, encode_tiles as encode_tiles
from .registry import encoder_named as encoder_named, same_encoder as same_encoder
from .store import storing as storing
from .tasks import connected as connected
